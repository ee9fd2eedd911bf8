"""NICE-GAN: `<dataset>_params_<step>.pt` of alpc91/NICE-GAN-pytorch 1b114f1."""

from __future__ import annotations

from pathlib import Path

from i2i.core.contracts import Imported
from i2i.methods.weights.official_files import Report, networks_in, newest
from i2i.methods.weights.ugatit import image_size
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count

VIEWS = {"rho": (1, -1, 2), "gamma": (1, -1, 1, 1), "beta": (1, -1, 1, 1)}
FIXED_LAYERS = 6
"""Of the discriminator: two encode, two more halve for the head `global_`, and two end each head."""


def generator(state: State, traces: Options) -> Layers:
    """Names in `ResnetGenerator`."""
    blocks = count(state, r"UpBlock1_\d+\.conv1\.weight", r"decoder\.\d+\.first\.conv\.weight")
    table = {
        "UpBlock0.1": "stem.conv",
        "UpBlock0.2": "stem.norm",
        "FC.0": "modulation.first",
        "FC.2": "modulation.second",
        "gamma": "modulation.gamma",
        "beta": "modulation.beta",
        "UpBlock2.1": "image_decoder.up.0.conv",
        "UpBlock2.2": "image_decoder.up.0.norm",
        "UpBlock2.4": "image_decoder.up.0.shuffle.conv",
        "UpBlock2.6": "image_decoder.up.0.shuffle.norm",
        "UpBlock2.9": "image_decoder.up.1.conv",
        "UpBlock2.10": "image_decoder.up.1.norm",
        "UpBlock2.12": "image_decoder.up.1.shuffle.conv",
        "UpBlock2.14": "image_decoder.up.1.shuffle.norm",
        "UpBlock2.17": "image_decoder.head",
    }
    for i in range(blocks):
        table |= {
            f"UpBlock1_{i + 1}.conv1": f"decoder.{i}.first.conv",
            f"UpBlock1_{i + 1}.norm1": f"decoder.{i}.first.norm",
            f"UpBlock1_{i + 1}.conv2": f"decoder.{i}.second.conv",
            f"UpBlock1_{i + 1}.norm2": f"decoder.{i}.second.norm",
        }
    return table


def discriminator(state: State, traces: Options) -> Layers:
    """Names in `Discriminator`, whose layers all have spectral norm but `conv1x1`."""
    table = {
        "model.1": "encoder.0.conv",
        "model.4": "encoder.1.conv",
        "fc": "attention.classifier",
        "conv1x1": "attention.mix",
        "lamda": "attention.scale",
        "Dis0_1.1": "heads.local.blocks.0.conv",
        "conv0": "heads.local.final",
        "Dis1_0.1": "heads.global_.blocks.0.conv",
        "Dis1_0.4": "heads.global_.blocks.1.conv",
        "Dis1_1.1": "heads.global_.blocks.2.conv",
        "conv1": "heads.global_.final",
    }
    common = count(state, r"Dis0_0\.\d+\.weight_orig", r"common\.\d+\.conv\.weight")
    return table | {f"Dis0_0.{1 + 3 * i}": f"common.{i}.conv" for i in range(common)}


def generator_options(ours: State, traces: Options) -> Options:
    """Sizes of `adalin_decoder`."""
    seen = ours["modulation.first.weight"].shape
    return {
        "channels": ours["image_decoder.head.weight"].shape[1],
        "blocks": count(ours, "", r"decoder\.\d+\.first\.conv\.weight"),
        "light": seen[0] == seen[-1],
    }


def discriminator_options(ours: State, traces: Options) -> Options:
    """Sizes of `encoder_patch`."""
    common = count(ours, "", r"common\.\d+\.conv\.weight")
    return {"channels": ours["encoder.0.conv.weight"].shape[0], "layers": FIXED_LAYERS + common}


def _generator(domain: str) -> Network:
    return Network(
        f"generators.{domain}", "translator.generator", generator, generator_options, views=VIEWS, required=True
    )


def _discriminator(domain: str) -> Network:
    return Network(
        f"discriminators.{domain}", "translator.discriminator", discriminator, discriminator_options, required=True
    )


NICEGAN = Format(
    "NICE-GAN",
    "nicegan",
    {
        "gen2B": _generator("b"),
        "gen2A": _generator("a"),
        "disA": _discriminator("a"),  # its first layers encode the images of this domain
        "disB": _discriminator("b"),
    },
)


def nicegan_pytorch(path: Path) -> Imported:
    """Convert a checkpoint of the official NICE-GAN.

    Both discriminators are required: their first layers are the encoders, and a translation from a to b takes disA and
    gen2B.

    Args:
        path: `<dataset>_params_<step>.pt` or `<dataset>_params_latest.pt`, or a folder of them, of which the last one
            is taken. No code in it is run.

    Returns:
        The recipe `nicegan` with the sizes of the weights. For light generators the file has no image size.

    Raises:
        CheckpointError: the file is something else, is damaged, or its networks do not fit together.
    """
    report = Report()
    file = newest(path, r".*_params_(\d+|latest)\.(pt|pth|safetensors)") if path.is_dir() else path
    states, content = networks_in(file, NICEGAN.networks, report, "NICE-GAN", NICEGAN.networks, "start_iter")
    step = content.get("start_iter", 0)
    return NICEGAN.read(
        file,
        states,
        report,
        lambda settings, ours: image_size(settings, ours["gen2B"]),
        step=step if isinstance(step, int) else 0,
    )
