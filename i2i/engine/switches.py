"""Switches of a GPU's arithmetic and layout: set by a recipe, or `auto` from what `benchmarks/gpu.py` has measured."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import torch

from i2i.recipe.recipe import Recipe

NAMES = ("tf32", "cudnn_benchmark", "channels_last")
TABLE = "I2I_GPU_TABLE"
"""Environment variable with another place of the table."""
log = logging.getLogger("i2i")


def table_path() -> Path:
    """Return where `benchmarks/gpu.py` writes what it has measured, and `auto` reads it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(TABLE) or cache / "i2i" / "gpu_table.json")


def resolve(recipe: Recipe, device: torch.device) -> dict[str, bool | None]:
    """Return each switch as on, off, or None for torch's own choice.

    `auto` takes the entry `GPU / translator / switch` of the table, and torch's choice where there is none.

    Args:
        recipe: the recipe.
        device: device that trains; on a CPU all switches are without effect.
    """
    found: dict[str, bool | None] = {}
    for name in NAMES:
        wanted = getattr(recipe.train, name)
        if device.type != "cuda":
            found[name] = None
        elif wanted == "auto":
            found[name] = _measured(torch.cuda.get_device_name(device), recipe.translator.name, name)
        else:
            found[name] = wanted
    return found


def apply(switches: dict[str, bool | None]) -> None:
    """Set the switches that belong to the process: TF32, and cuDNN's measurement of algorithms."""
    if (tf32 := switches["tf32"]) is not None:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
    if (benchmark := switches["cudnn_benchmark"]) is not None:
        torch.backends.cudnn.benchmark = benchmark


def _measured(gpu: str, translator: str, name: str) -> bool | None:
    path = table_path()
    try:
        table: Any = json.loads(path.read_text(encoding="utf-8"))
        value = table[gpu][translator][name]
    except (OSError, ValueError, KeyError, TypeError):
        log.warning(
            "train.%s=auto: %s has no entry for %s on %s; torch's own choice is kept (benchmarks/gpu.py writes some)",
            name,
            path,
            translator,
            gpu,
        )
        return None
    return value if isinstance(value, bool) else None
