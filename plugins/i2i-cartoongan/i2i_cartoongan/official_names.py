"""How the released networks name their layers, and how ours are named."""

from __future__ import annotations

Layers = dict[str, str]
"""Official name: our name, of every layer."""


def cartoongan(blocks: int) -> Layers:
    """Layers of CartoonGAN's generator; those of norms end in `scale` and `shift` there, see `LEAVES`.

    Source: Yijunmaverick/CartoonGAN-Test-Pytorch-Torch e0414a3; numbers go on through the residual blocks.
    """
    layers = {"conv01_1": "stem.conv", "in01_1": "stem.norm"}
    for i in range(2):
        number = f"{2 + i:02}"
        layers |= {f"conv{number}_1": f"down.{i}.resize", f"conv{number}_2": f"down.{i}.conv"}
        layers[f"in{number}_1"] = f"down.{i}.norm"
    for i in range(blocks):
        for half, name in ((1, "first"), (2, "second")):
            layers[f"conv{4 + i:02}_{half}"] = f"blocks.{i}.{name}.conv"
            layers[f"in{4 + i:02}_{half}"] = f"blocks.{i}.{name}.norm"
    for i in range(2):
        layers |= {f"deconv{1 + i:02}_1": f"up.{i}.resize", f"deconv{1 + i:02}_2": f"up.{i}.conv"}
        layers[f"in{4 + blocks + i:02}_1"] = f"up.{i}.norm"
    return {**layers, "deconv03_1": "head"}


def animegan2(blocks: int) -> Layers:
    """Layers of AnimeGANv2's generator.

    Source: bryandlee/animegan2-pytorch 25d7b01.
    """
    counts = {
        "block_a": ("to_half", 3),
        "block_b": ("to_quarter", 2),
        "block_d": ("at_half", 2),
        "block_e": ("at_full", 3),
    }
    found = {f"{theirs}.{i}": f"{ours}.{i}" for theirs, (ours, count) in counts.items() for i in range(count)}
    found |= {f"block_c.{i}": f"body.{i}" for i in (0, blocks + 1)}
    for i in range(1, blocks + 1):
        found |= {f"block_c.{i}.layers.0": f"body.{i}.expand", f"block_c.{i}.layers.1": f"body.{i}.depthwise"}
    layers = {f"{theirs}.{1 + place}": f"{ours}.{part}" for theirs, ours in found.items() for place, part in _PARTS}
    for i in range(1, blocks + 1):
        layers |= {f"block_c.{i}.layers.2": f"body.{i}.project", f"block_c.{i}.layers.3": f"body.{i}.norm"}
    return {**layers, "out_layer.0": "head"}


_PARTS = ((0, "conv"), (1, "norm"))
LEAVES = {"scale": "weight", "shift": "bias"}
"""What CartoonGAN calls the parameters of a norm."""
