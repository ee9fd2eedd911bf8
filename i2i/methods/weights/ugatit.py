"""U-GAT-IT: `<dataset>_params_<step>.pt` of znxlwm/UGATIT-pytorch b8c4251."""

from __future__ import annotations

import math
from pathlib import Path

from i2i.core.contracts import Imported
from i2i.methods.weights.official_files import Report, networks_in, newest
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count

VIEWS = dict.fromkeys(("rho", "gamma", "beta"), (1, -1, 1, 1))


def generator(state: State, traces: Options) -> Layers:
    """Names in `ResnetGenerator`."""
    blocks = count(state, r"UpBlock1_\d+\.conv1\.weight", r"decoder\.\d+\.first\.conv\.weight")
    table = {
        "DownBlock.1": "encoder.stem.conv",
        "DownBlock.5": "encoder.down.0.conv",
        "DownBlock.9": "encoder.down.1.conv",
        "gap_fc": "attention.classifiers.average",
        "gmp_fc": "attention.classifiers.max",
        "conv1x1": "attention.mix",
        "FC.0": "modulation.first",
        "FC.2": "modulation.second",
        "gamma": "modulation.gamma",
        "beta": "modulation.beta",
        "UpBlock2.2": "image_decoder.up.0.conv",
        "UpBlock2.3": "image_decoder.up.0.norm",
        "UpBlock2.7": "image_decoder.up.1.conv",
        "UpBlock2.8": "image_decoder.up.1.norm",
        "UpBlock2.11": "image_decoder.head",
    }
    for i in range(blocks):
        table |= {
            f"DownBlock.{12 + i}.conv_block.1": f"encoder.blocks.{i}.first.conv",
            f"DownBlock.{12 + i}.conv_block.5": f"encoder.blocks.{i}.second.conv",
            f"UpBlock1_{i + 1}.conv1": f"decoder.{i}.first.conv",
            f"UpBlock1_{i + 1}.norm1": f"decoder.{i}.first.norm",
            f"UpBlock1_{i + 1}.conv2": f"decoder.{i}.second.conv",
            f"UpBlock1_{i + 1}.norm2": f"decoder.{i}.second.norm",
        }
    return table


def discriminator(state: State, traces: Options) -> Layers:
    """Names in `Discriminator`, whose convolutions all have spectral norm but `conv1x1`."""
    table = {
        "gap_fc": "attention.classifiers.average",
        "gmp_fc": "attention.classifiers.max",
        "conv1x1": "attention.mix",
        "conv": "final",
    }
    blocks = count(state, r"model\.\d+\.weight_orig", r"blocks\.\d+\.conv\.weight")
    return table | {f"model.{1 + 3 * i}": f"blocks.{i}.conv" for i in range(blocks)}


def generator_options(ours: State, traces: Options) -> Options:
    """Sizes of `resnet_adalin`; light generators see one number per channel where full ones see all pixels."""
    seen = ours["modulation.first.weight"].shape
    return {
        "channels": ours["encoder.stem.conv.weight"].shape[0],
        "blocks": count(ours, "", r"decoder\.\d+\.first\.conv\.weight"),
        "light": seen[0] == seen[-1],
    }


def discriminator_options(ours: State, traces: Options) -> Options:
    """Sizes of `patch`."""
    blocks = count(ours, "", r"blocks\.\d+\.conv\.weight")
    return {"channels": ours["blocks.0.conv.weight"].shape[0], "layers": blocks + 1}


def image_size(settings: Options, modulation: State) -> Options:
    """The image size that a full generator was made for; a light one takes any."""
    if settings["translator.generator.light"]:
        return {}
    features, inputs = modulation["modulation.first.weight"].shape[:2]
    return {"data.size": 4 * math.isqrt(inputs // max(features, 1))}


def _generator(domain: str) -> Network:
    return Network(
        f"generators.{domain}", "translator.generator", generator, generator_options, views=VIEWS, required=True
    )


def _discriminator(domain: str, head: str) -> Network:
    return Network(
        f"discriminators.{domain}.{head}", f"translator.discriminators.{head}", discriminator, discriminator_options
    )


UGATIT = Format(
    "U-GAT-IT",
    "ugatit",
    {
        "genA2B": _generator("b"),  # i2i names a generator after the domain that it translates to,
        "genB2A": _generator("a"),
        "disGA": _discriminator("a", "global_"),  # and a discriminator after the domain whose images are real to it
        "disGB": _discriminator("b", "global_"),
        "disLA": _discriminator("a", "local"),
        "disLB": _discriminator("b", "local"),
    },
)


def ugatit_pytorch(path: Path) -> Imported:
    """Convert a checkpoint of the official U-GAT-IT.

    Args:
        path: `<dataset>_params_<step>.pt` or `<dataset>_params_latest.pt`, or a folder of them, of which the last one
            is taken. No code in it is run.

    Returns:
        The recipe `ugatit` with the sizes of the weights. The file has neither optimizer state nor step number, and for
        light generators no image size. Missing discriminators start from scratch.

    Raises:
        CheckpointError: the file is something else, is damaged, or its networks do not fit together.
    """
    report = Report()
    file = newest(path, r".*_params_(\d+|latest)\.(pt|pth|safetensors)") if path.is_dir() else path
    states, _ = networks_in(file, UGATIT.networks, report, "U-GAT-IT", ("genA2B", "genB2A"))
    return UGATIT.read(file, states, report, lambda settings, ours: image_size(settings, ours["genA2B"]))
