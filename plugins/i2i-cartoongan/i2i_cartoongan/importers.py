"""The released weights of CartoonGAN and of AnimeGANv2's port to PyTorch."""

from __future__ import annotations

from pathlib import Path

from i2i.core.contracts import Imported
from i2i.methods.weights.official_files import Report, network_in
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count, layers_and_norms

ALIASES = ("netG", "generator", "G")


def cartoongan(state: State, traces: Options) -> Layers:
    """Names in CartoonGAN's generator (Yijunmaverick/CartoonGAN-Test-Pytorch-Torch e0414a3).

    Its numbers run on through the residual blocks, and its norms have `scale` and `shift`.
    """
    blocks = count(state, r"conv(?!0[123]_)\d+_2\.weight", r"blocks\.\d+\.second\.conv\.weight")
    norms = {"in01_1": "stem.norm"}
    table = {"conv01_1": "stem.conv", "deconv03_1": "head"}
    for i in range(2):
        table |= {
            f"conv{2 + i:02}_1": f"down.{i}.resize",
            f"conv{2 + i:02}_2": f"down.{i}.conv",
            f"deconv{1 + i:02}_1": f"up.{i}.resize",
            f"deconv{1 + i:02}_2": f"up.{i}.conv",
        }
        norms |= {f"in{2 + i:02}_1": f"down.{i}.norm", f"in{4 + blocks + i:02}_1": f"up.{i}.norm"}
    for i in range(blocks):
        for number, half in ((1, "first"), (2, "second")):
            table[f"conv{4 + i:02}_{number}"] = f"blocks.{i}.{half}.conv"
            norms[f"in{4 + i:02}_{number}"] = f"blocks.{i}.{half}.norm"
    for official, ours in norms.items():
        table |= {f"{official}.scale": f"{ours}.weight", f"{official}.shift": f"{ours}.bias"}
    return table


def animegan2(state: State, traces: Options) -> Layers:
    """Names in AnimeGANv2's generator (bryandlee/animegan2-pytorch 25d7b01)."""
    blocks = count(state, r"block_c\.\d+\.layers\.2\.weight", r"body\.\d+\.project\.weight")
    parts = (
        ("block_a", "to_half", 3),
        ("block_b", "to_quarter", 2),
        ("block_d", "at_half", 2),
        ("block_e", "at_full", 3),
    )
    pairs = [(f"{official}.{i}.", 1, f"{ours}.{i}") for official, ours, number in parts for i in range(number)]
    pairs += [(f"block_c.{i}.", 1, f"body.{i}") for i in (0, blocks + 1)]
    for i in range(1, blocks + 1):
        pairs += [
            (f"block_c.{i}.layers.0.", 1, f"body.{i}.expand"),
            (f"block_c.{i}.layers.1.", 1, f"body.{i}.depthwise"),
        ]
    table = layers_and_norms(*pairs) | {"out_layer.0": "head"}
    for i in range(1, blocks + 1):
        table |= {f"block_c.{i}.layers.2": f"body.{i}.project", f"block_c.{i}.layers.3": f"body.{i}.norm"}
    return table


def cartoongan_options(ours: State, traces: Options) -> Options:
    """Sizes of `cartoongan`; the released networks take their colours as BGR."""
    blocks = count(ours, "", r"blocks\.\d+\.second\.conv\.weight")
    return {"channels": ours["stem.conv.weight"].shape[0], "blocks": blocks, "channel_order": "bgr"}


def animegan2_options(ours: State, traces: Options) -> Options:
    """Sizes of `animegan2`."""
    blocks = count(ours, "", r"body\.\d+\.project\.weight")
    return {"channels": ours["to_half.0.conv.weight"].shape[0], "blocks": blocks}


CARTOONGAN = Format(
    "CartoonGAN",
    "cartoongan",
    {"G": Network("generator", "translator.generator", cartoongan, cartoongan_options, required=True)},
    untrained=("discriminators",),
)
ANIMEGAN2 = Format(
    "AnimeGANv2",
    "animegan2",
    {"G": Network("generator", "translator.generator", animegan2, animegan2_options, required=True)},
    untrained=("discriminators",),
)


def cartoongan_pytorch(path: Path) -> Imported:
    """Convert `{Hayao,Hosoda,Paprika,Shinkai}_net_G_float.pth`.

    Args:
        path: the generator's file. No code in it is run.

    Returns:
        The recipe `cartoongan` with the sizes of the weights. The discriminator starts from scratch.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    report = Report()
    return CARTOONGAN.read(path, {"G": network_in(path, report, ALIASES, "CartoonGAN's generator")}, report)


def animegan2_pytorch(path: Path) -> Imported:
    """Convert a generator of the port of AnimeGANv2, such as `face_paint_512_v2.pt` or `paprika.pt`.

    Args:
        path: the generator's file. No code in it is run.

    Returns:
        The recipe `animegan2` with the sizes of the weights. The discriminator starts from scratch.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    report = Report()
    return ANIMEGAN2.read(path, {"G": network_in(path, report, ALIASES, "AnimeGANv2's generator")}, report)
