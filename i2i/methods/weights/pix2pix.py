"""pix2pix: `latest_net_{G,D}.pth` of junyanz/pytorch-CycleGAN-and-pix2pix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from i2i.core.contracts import Imported
from i2i.methods.weights import junyanz
from i2i.methods.weights.official_files import Report, epoch_files, network_in
from i2i.methods.weights.weight_map import Format, Network, Options, State

PIX2PIX = Format(
    "pix2pix",
    "pix2pix",
    {
        "G": Network(
            "generator",
            "translator.generator",
            junyanz.generator,
            junyanz.generator_options,
            junyanz.generator_traces,
            required=True,
        ),
        "D": Network(
            "discriminators.local",
            "translator.discriminators.local",
            junyanz.discriminator,
            junyanz.discriminator_options,
        ),
    },
)
GENERATOR_ALIASES = ("netG", "netG_A", "G_A", "G", "generator")
DISCRIMINATOR_ALIASES = ("netD", "netD_A", "D_A", "D", "discriminator")
RGB = 3


def pix2pix_pytorch(path: Path) -> Imported:
    """Convert a checkpoint folder of the official pix2pix, or the generator's file.

    Args:
        path: a folder with `<epoch>_net_G.pth` and `<epoch>_net_D.pth`, of which the last epoch is taken, or the former
            file alone.

    Returns:
        The recipe `pix2pix` with the sizes of the weights, from a to b; `translator.source` may be set to b. A U-Net's
        dropout leaves no trace in such a file, so the recipe's stays. A missing discriminator starts from scratch.

    Raises:
        CheckpointError: a file is something else or damaged.
    """
    files = epoch_files(path, PIX2PIX.networks) if path.is_dir() else {"G": path}
    report = Report()
    states = {}
    for name, file in files.items():
        aliases = GENERATOR_ALIASES if name == "G" else DISCRIMINATOR_ALIASES
        what = "a generator" if name == "G" else "a discriminator"
        states[name] = junyanz.renamed(network_in(file, report, aliases, what))
    return PIX2PIX.read(path, states, report, _conditional)


def _conditional(settings: Options, ours: Mapping[str, State]) -> Options:
    """Whether the discriminator sees the input on top of the output, or the output alone."""
    channels = settings.get("translator.discriminators.local.in_channels")
    outputs = settings.get("translator.generator.out_channels", RGB)
    return {} if channels is None else {"translator.conditional": channels > outputs}
