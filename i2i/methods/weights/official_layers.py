"""How junyanz/pytorch-CycleGAN-and-pix2pix names the layers of its networks, and how ours are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from i2i.errors import CheckpointError
from i2i.nn.foreign import few

State = Mapping[str, Tensor]
Options = dict[str, Any]
Layers = dict[str, str]
"""Official name: our name, of every layer."""

_PARTS = ((0, "conv"), (1, "norm"))


def renamed(state: State) -> State:
    """The same with the official name of residual blocks, for which some reimplementations have a shorter one."""
    return {re.sub(r"^(model\.\d+)\.block\.", r"\1.conv_block.", name): value for name, value in state.items()}


def generator(state: State) -> tuple[Options, Layers]:
    """A generator's `type` and options, and its layers.

    Raises:
        CheckpointError: it is neither a U-Net nor a ResNet.
    """
    if "model.model.0.weight" in state:
        return _unet(state)
    if "model.1.weight" in state and "model.10.conv_block.1.weight" in state:
        return _resnet(state)
    raise CheckpointError(f"expected a U-Net's model.model.0.weight or a ResNet's model.1.weight, found {few(state)}")


def discriminator(state: State) -> tuple[Options, Layers]:
    """A discriminator's `type` and options, and its layers.

    Raises:
        CheckpointError: it judges neither patches nor pixels.
    """
    if "net.0.weight" in state:
        return {"type": "pixel", **_discriminated(state["net.0.weight"]), **_norm(state, "net.3")}, layers_of(
            {"type": "pixel"}
        )
    if "model.0.weight" not in state:
        raise CheckpointError(f"expected a discriminator's model.0.weight or net.0.weight, found {few(state)}")
    layers = sum(re.fullmatch(r"model\.\d+\.weight", name) is not None and w.ndim == 4 for name, w in state.items())
    options = {"type": "patch", "layers": layers, **_discriminated(state["model.0.weight"]), **_norm(state, "model.3")}
    return options, layers_of(options)


def layers_of(options: Mapping[str, Any]) -> Layers:
    """The layers of a network with this `type`, and these `levels`, `blocks` and `dropout`, or `layers`."""
    if options["type"] == "unet":
        return _unet_layers(options["levels"])
    if options["type"] == "resnet":
        return _resnet_layers(options["blocks"], bool(options.get("dropout")))
    if options["type"] == "patch":
        return _patch_layers(options["layers"])
    return {"net.0": "blocks.0.conv", "net.2": "blocks.1.conv", "net.3": "blocks.1.norm", "net.5": "final"}


def _unet(state: State) -> tuple[Options, Layers]:
    last = state.get("model.model.3.weight")
    levels = 2
    while f"{_inside(levels - 1)}.5.weight" in state:
        levels += 1
    if last is None or f"{_inside(levels - 1)}.3.weight" not in state:
        raise CheckpointError(f"expected a whole U-Net with {levels} levels or more, found {few(state)}")
    first = state["model.model.0.weight"]
    options = {"type": "unet", "channels": first.shape[0], "levels": levels}
    options |= {"in_channels": first.shape[1], "out_channels": last.shape[1]}
    options |= _norm(state, f"{_inside(levels - 1)}.4")
    return options, layers_of(options)


def _inside(level: int) -> str:
    """Where the modules of a level stand: each level is nested in the one before."""
    return "model.model" if level == 0 else "model.model.1.model" + ".3.model" * (level - 1)


def _unet_layers(levels: int) -> Layers:
    layers = {"model.model.0": "down.0.conv", "model.model.3": "up.0.conv"}
    for level in range(1, levels):
        inner = {3: "up.{}.conv", 4: "up.{}.norm"}  # the innermost level has no norm on its way down
        middle = {2: "down.{}.norm", 5: "up.{}.conv", 6: "up.{}.norm"}
        for index, ours in {1: "down.{}.conv", **(inner if level == levels - 1 else middle)}.items():
            layers[f"{_inside(level)}.{index}"] = ours.format(level)
    return layers


def _resnet(state: State) -> tuple[Options, Layers]:
    scaled = "model.2.weight" in state
    if scaled and "model.1.bias" not in state:
        raise CheckpointError("found a ResNet with batch norm, which i2i cannot import; CycleGAN's have instance norm")
    blocks = sum(re.fullmatch(r"model\.\d+\.conv_block\.1\.weight", name) is not None for name in state)
    second = state.get("model.10.conv_block.6.weight")  # a convolution where dropout has moved it, else perhaps a norm
    dropout = 0.5 if second is not None and second.ndim == 4 else 0.0
    options = {"type": "resnet", "channels": state["model.1.weight"].shape[0], "blocks": blocks, "dropout": dropout}
    norm = {"type": "in", "affine": True} if scaled else "in"
    return {**options, "norm": norm}, layers_of(options)


def _resnet_layers(blocks: int, dropout: bool) -> Layers:
    stages = {1: "encoder.stem", 4: "encoder.down.0", 7: "encoder.down.1"}
    stages |= {10 + blocks + 3 * i: f"image_decoder.up.{i}" for i in range(2)}
    layers = {f"model.{index + part}": f"{ours}.{name}" for index, ours in stages.items() for part, name in _PARTS}
    for i in range(blocks):
        for index, half in ((1, "first"), (6 if dropout else 5, "second")):
            for part, name in _PARTS:
                layers[f"model.{10 + i}.conv_block.{index + part}"] = f"encoder.blocks.{i}.{half}.{name}"
    return {**layers, f"model.{17 + blocks}": "image_decoder.head"}


def _patch_layers(layers: int) -> Layers:
    names = {"model.0": "blocks.0.conv", f"model.{3 * layers - 4}": "final"}
    for i in range(1, layers - 1):
        names |= {f"model.{3 * i - 1 + part}": f"blocks.{i}.{name}" for part, name in _PARTS}
    return names


def _discriminated(first: Tensor) -> Options:
    return {"channels": first.shape[0], "in_channels": first.shape[1]}


def _norm(state: State, layer: str) -> Options:
    """Batch norm has a scale; instance norm has none, and leaves the convolutions their biases."""
    if f"{layer}.weight" in state:
        return {"norm": {"type": "bn", "statistics": "batch"}, "bias": False}
    return {"norm": "in", "bias": True}
