"""CycleGAN: `latest_net_{G_A,G_B,D_A,D_B}.pth` of junyanz/pytorch-CycleGAN-and-pix2pix."""

from __future__ import annotations

import re
from pathlib import Path

from i2i.core.contracts import Imported
from i2i.methods.weights import junyanz
from i2i.methods.weights.official_files import Report, epoch_files, network_in
from i2i.methods.weights.pix2pix import GENERATOR_ALIASES, PIX2PIX
from i2i.methods.weights.weight_map import Format, Network


def _generator(domain: str) -> Network:
    return Network(
        f"generators.{domain}",
        "translator.generator",
        junyanz.generator,
        junyanz.generator_options,
        junyanz.generator_traces,
        required=True,
    )


def _discriminator(domain: str) -> Network:
    return Network(
        f"discriminators.{domain}.local",
        "translator.discriminators.local",
        junyanz.discriminator,
        junyanz.discriminator_options,
    )


CYCLEGAN = Format(
    "CycleGAN",
    "cyclegan",
    {
        "G_A": _generator("b"),  # from a to b; i2i names a generator after the domain that it translates to,
        "G_B": _generator("a"),
        "D_A": _discriminator("b"),  # and a discriminator after the domain whose images are real to it
        "D_B": _discriminator("a"),
    },
)
SINGLE = ("G", "G_A2B", "G_B2A")
"""What the files of published single generators are called besides G_A and G_B."""


def cyclegan_pytorch(path: Path) -> Imported:
    """Convert a checkpoint folder of the official CycleGAN, or a single generator's file.

    Args:
        path: a folder with `<epoch>_net_{G_A,G_B,D_A,D_B}.pth`, which becomes both directions, or with one generator;
            or one generator's file, which becomes one direction: from b to a if it is called `G_B` or `G_B2A`, else
            from a to b.

    Returns:
        The recipe `cyclegan`, or for one direction alone `pix2pix` with this generator. Discriminators that are missing
        start from scratch.

    Raises:
        CheckpointError: a file is something else or damaged, or the networks do not fit together.
    """
    if not path.is_dir():
        return one_direction(path)
    files = epoch_files(path, (*CYCLEGAN.networks, *SINGLE))
    generators = [file for name, file in files.items() if name.startswith("G")]
    if len(generators) == 1:
        return one_direction(generators[0])
    report = Report()
    states = {}
    for name, file in files.items():
        if name in CYCLEGAN.networks:
            what = "a generator" if name.startswith("G") else "a discriminator"
            aliases = (f"net{name}", name, "generator" if name.startswith("G") else "discriminator")
            states[name] = junyanz.renamed(network_in(file, report, aliases, what))
    return CYCLEGAN.read(path, states, report)


def one_direction(path: Path) -> Imported:
    """A single generator, in the translator `paired` of the recipe `pix2pix`."""
    report = Report()
    state = junyanz.renamed(network_in(path, report, GENERATOR_ALIASES, "a generator"))
    source = "b" if re.search(r"(^|_)G_(B|B2A)(_|$)", path.stem) else "a"
    return PIX2PIX.read(path, {"G": state}, report, lambda settings, ours: {"translator.source": source})
