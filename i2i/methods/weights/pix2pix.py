"""Checkpoints of the official pix2pix (junyanz/pytorch-CycleGAN-and-pix2pix)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights import official

PREFIXES = {"G": "generator.", "D": "discriminators.local."}
"""The official names of the two networks, each with where its weights stand in the translator's state."""
_TABLES = {"G": "translator.generator", "D": "translator.discriminators.local"}
_COLOURS = 3


def pix2pix_pytorch(path: Path) -> Imported:
    """Reads a checkpoint folder of the official code, or the generator's file.

    Args:
        path: a folder with `latest_net_G.pth` and `latest_net_D.pth` (or of the highest epoch), or the former alone.

    Returns:
        The recipe `pix2pix` with the sizes that the weights tell, from a to b; `translator.source` may be set to b.
        Dropout leaves no trace in such a file: the recipe's stays. Without the file of the discriminator it begins
        anew.

    Raises:
        CheckpointError: a file is something else or damaged.
    """
    files = official.files_of(path, PREFIXES) if path.is_dir() else {"G": path}
    if "G" not in files:
        raise CheckpointError(f"{path}: expected latest_net_G.pth, found {files['D'].name} alone")
    networks = {
        name: official.read(file, "generator" if name == "G" else "discriminator") for name, file in files.items()
    }
    settings = {key: value for name, found in networks.items() for key, value in found.settings(_TABLES[name]).items()}
    discriminator = networks.get("D")
    if discriminator is not None:
        # The discriminator sees input and output on top of each other, or the output alone.
        channels = networks["G"].options.get("out_channels", _COLOURS)
        settings["translator.conditional"] = discriminator.options["in_channels"] > channels
    seen = (
        f"discriminator {official.described(discriminator)}" if discriminator else "no discriminator, which begins anew"
    )
    return Imported(
        "pix2pix",
        settings,
        {PREFIXES[name] + key: tensor for name, found in networks.items() for key, tensor in found.state.items()},
        f"pix2pix, generator {official.described(networks['G'])}, {seen}; no optimizer state"
        f"{official.dropped_note(networks)}",
        untrained=() if discriminator else ("discriminators",),
    )


def export(settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The translator's state as the official state dicts; undoes the import to the bit.

    Args:
        settings: as the importer found them.
    """
    networks = {}
    for name, prefix in PREFIXES.items():
        mine = {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
        table = f"{_TABLES[name]}."
        options = {key.removeprefix(table): value for key, value in settings.items() if key.startswith(table)}
        networks[name] = official.export(options, mine)
    return networks
