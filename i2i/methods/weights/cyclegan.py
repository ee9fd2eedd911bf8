"""Checkpoints of the official CycleGAN (junyanz/pytorch-CycleGAN-and-pix2pix)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights import official
from i2i.methods.weights.official import Network

PREFIXES = {
    "G_A": "generators.b.",  # generators are named after the domain that they paint,
    "G_B": "generators.a.",
    "D_A": "discriminators.b.local.",  # discriminators after the one that they judge
    "D_B": "discriminators.a.local.",
}
"""The official names of the four networks, each with where its weights stand in the translator's state."""


def cyclegan_pytorch(path: Path) -> Imported:
    """Reads a checkpoint folder of the official code, or a single generator's file.

    Args:
        path: a folder with `latest_net_{G_A,G_B,D_A,D_B}.pth` (or of the highest epoch), which becomes both
            directions, or one `*_net_G*.pth`, which becomes one: from b to a if it is called `G_B` or `G_B2A`, else
            from a to b.

    Returns:
        The recipe `cyclegan`, or `pix2pix` with this generator for one direction alone; sizes are those that the
        weights tell. Discriminators that are not there begin anew.

    Raises:
        CheckpointError: a file is something else or damaged, or the networks do not fit together.
    """
    if not path.is_dir():
        return one_direction(path)
    files = official.files_of(path, PREFIXES)
    if "G_A" not in files or "G_B" not in files:
        name = next((name for name in files if name.startswith("G")), None)
        if name is None:
            raise CheckpointError(
                f"{path}: expected generators, found {', '.join(file.name for file in files.values())}"
            )
        return one_direction(files[name])
    networks = {name: official.read(file, _part(name)) for name, file in files.items()}
    for one, two in (("G_A", "G_B"), ("D_A", "D_B")):
        if one in networks and two in networks and networks[one].options != networks[two].options:
            raise CheckpointError(
                f"{path}: {one} is a {official.described(networks[one])}, {two} a {official.described(networks[two])}; "
                f"expected twins"
            )
    settings = networks["G_A"].settings("translator.generator")
    discriminator = networks.get("D_A") or networks.get("D_B")
    if discriminator is not None:
        settings |= discriminator.settings("translator.discriminators.local")
    missing = [name for name in PREFIXES if name not in networks]
    summary = f"CycleGAN, generators {official.described(networks['G_A'])}"
    summary += f", discriminators {official.described(discriminator)}" if discriminator is not None else ""
    summary += f"; {' and '.join(missing)} not there, begin anew" if missing else ""
    return Imported(
        "cyclegan",
        settings,
        convert(networks),
        f"{summary}; no optimizer state{official.dropped_note(networks)}",
        untrained=tuple(PREFIXES[name].rstrip(".") for name in missing),
    )


def one_direction(path: Path) -> Imported:
    """A single generator, as the paired translator has it."""
    network = official.read(path, "generator")
    source = "b" if re.search(r"(^|_)G_(B|B2A)(_|$)", path.stem) else "a"
    target = "a" if source == "b" else "b"
    return Imported(
        "pix2pix",
        {"translator.source": source, **network.settings("translator.generator")},
        {f"generator.{name}": tensor for name, tensor in network.state.items()},
        f"one generator, {official.described(network)}, from {source} to {target}; no discriminator, which begins anew"
        f"{official.dropped_note({'G': network})}",
        untrained=("discriminators",),
    )


def convert(networks: Mapping[str, Network]) -> dict[str, Tensor]:
    """The official networks by name as the translator's state."""
    return {
        PREFIXES[name] + ours: tensor for name, network in networks.items() for ours, tensor in network.state.items()
    }


def export(settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The translator's state as the official state dicts; undoes the import to the bit.

    Args:
        settings: as the importer found them.
    """
    networks = {}
    for name, prefix in PREFIXES.items():
        mine = {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}
        table = "translator.generator." if name.startswith("G") else "translator.discriminators.local."
        options = {key.removeprefix(table): value for key, value in settings.items() if key.startswith(table)}
        networks[name] = official.export(options, mine)
    return networks


def _part(name: str) -> str:
    return "generator" if name.startswith("G") else "discriminator"
