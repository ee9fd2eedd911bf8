"""Names in the networks of junyanz/pytorch-CycleGAN-and-pix2pix, which CUT's program shares.

Its layers are numbered through, so a blur or dropout shifts the numbers of all layers after it.
"""

from __future__ import annotations

import re

from i2i.errors import CheckpointError
from i2i.methods.weights.weight_map import Layers, Options, State, count, layers_and_norms
from i2i.nn.weight_files import few


def renamed(state: State) -> State:
    """The same with the official name of residual blocks, for which some reimplementations have a shorter one."""
    return {re.sub(r"^(model\.\d+)\.block\.", r"\1.conv_block.", name): value for name, value in state.items()}


def generator(state: State, traces: Options) -> Layers:
    """Names in `UnetGenerator` or `ResnetGenerator`.

    Raises:
        CheckpointError: it is neither.
    """
    if "model.model.0.weight" in state or "down.0.conv.weight" in state:
        return unet(state)
    if "model.1.weight" in state or "encoder.stem.conv.weight" in state:
        return resnet(state, traces)
    raise CheckpointError(f"expected a U-Net's model.model.0.weight or a ResNet's model.1.weight, found {few(state)}")


def resnet(state: State, traces: Options) -> Layers:
    """Names in `ResnetGenerator`."""
    number = 4
    pairs = [("model.", 1, "encoder.stem")]
    filters = {}
    for i in range(2):
        pairs.append(("model.", number, f"encoder.down.{i}"))
        number += 3
        if traces.get("down") == "blur":
            filters[f"model.{number}.filt"] = f"encoder.down.{i}.blur.kernel"
            number += 1
    second = 6 if traces.get("dropout") else 5
    for i in range(count(state, r"model\.\d+\.conv_block\.1\.weight", r"encoder\.blocks\.\d+\.first\.conv\.weight")):
        pairs.append((f"model.{number}.conv_block.", 1, f"encoder.blocks.{i}.first"))
        pairs.append((f"model.{number}.conv_block.", second, f"encoder.blocks.{i}.second"))
        number += 1
    for i in range(2):
        if traces.get("upsample") == "blur":
            filters[f"model.{number}.filt"] = f"image_decoder.up.{i}.repeat.kernel"
            number += 1
        pairs.append(("model.", number, f"image_decoder.up.{i}"))
        number += 3
    head = {f"model.{number + 1}": "image_decoder.head"}  # after a layer that pads
    return layers_and_norms(*pairs) | filters | head


def unet(state: State) -> Layers:
    """Names in `UnetGenerator`: each level is nested in the one before; the innermost has no norm on its way down."""
    levels = count(state, r"model\.model\.(?:0|1\.model\.(?:3\.model\.)*1)\.weight", r"down\.\d+\.conv\.weight")
    table = {"model.model.0": "down.0.conv", "model.model.3": "up.0.conv"}
    for level in range(1, levels):
        inside = "model.model.1.model" + ".3.model" * (level - 1)
        table[f"{inside}.1"] = f"down.{level}.conv"
        if level == levels - 1:
            table |= layers_and_norms((f"{inside}.", 3, f"up.{level}"))
        else:
            table[f"{inside}.2"] = f"down.{level}.norm"
            table |= layers_and_norms((f"{inside}.", 5, f"up.{level}"))
    return table


def discriminator(state: State, traces: Options) -> Layers:
    """Names in `NLayerDiscriminator` or `PixelDiscriminator`.

    Raises:
        CheckpointError: it is neither.
    """
    if "net.0.weight" in state or ("final.weight" in state and state["final.weight"].shape[-1] == 1):
        return {"net.0": "blocks.0.conv", "net.2": "blocks.1.conv", "net.3": "blocks.1.norm", "net.5": "final"}
    if not {"model.0.weight", "blocks.0.conv.weight"} & state.keys():
        raise CheckpointError(f"expected a discriminator's model.0.weight or net.0.weight, found {few(state)}")
    blur = traces.get("down") == "blur"
    blocks = sum(tensor.ndim == 4 and not name.endswith(".filt") for name, tensor in state.items()) - 1
    table = {"model.0": "blocks.0.conv"}
    number = 2
    for i in range(1, blocks):
        if blur:  # after the block before this one, whose stride is 2
            table[f"model.{number}.filt"] = f"blocks.{i - 1}.blur.kernel"
            number += 1
        table |= layers_and_norms(("model.", number, f"blocks.{i}"))
        number += 3
    return table | {f"model.{number}": "final"}


def generator_traces(state: State) -> Options:
    """Dropout and blurs of a ResNet generator, by the numbers of its layers."""
    blocks = sorted({int(match[1]) for name in state if (match := re.match(r"model\.(\d+)\.conv_block\.", name))})
    if not blocks:
        return {}
    blurs = [int(match[1]) for name in state if (match := re.fullmatch(r"model\.(\d+)\.filt", name))]
    # A convolution stands at 6 where dropout has shifted it; otherwise a norm may, whose weight has one axis.
    dropped = state.get(f"model.{blocks[0]}.conv_block.6.weight")
    return {
        "dropout": 0.5 if dropped is not None and dropped.ndim == 4 else 0.0,
        "down": "blur" if any(number < blocks[0] for number in blurs) else "strided",
        "upsample": "blur" if any(number > blocks[-1] for number in blurs) else "transposed",
    }


def discriminator_traces(state: State) -> Options:
    """Whether a patch discriminator blurs."""
    return {"down": "blur" if any(name.endswith(".filt") for name in state) else "strided"}


def generator_options(ours: State, traces: Options) -> Options:
    """Type and options of a generator.

    Raises:
        CheckpointError: a ResNet with batch norm, which i2i does not have.
    """
    if "down.0.conv.weight" in ours:
        first, last = ours["down.0.conv.weight"].shape, ours["up.0.conv.weight"].shape
        levels = count(ours, "", r"down\.\d+\.conv\.weight")
        return {
            "type": "unet",
            "channels": first[0],
            "levels": levels,
            "in_channels": first[1],
            "out_channels": last[1],
            **_norm(ours, f"up.{levels - 1}.norm"),
        }
    scaled = "encoder.stem.norm.weight" in ours
    if scaled and "encoder.stem.conv.bias" not in ours:
        raise CheckpointError("found a ResNet with batch norm, which i2i cannot import; CycleGAN's have instance norm")
    return {
        "type": "resnet",
        "channels": ours["encoder.stem.conv.weight"].shape[0],
        "blocks": count(ours, "", r"encoder\.blocks\.\d+\.first\.conv\.weight"),
        "norm": {"type": "in", "affine": True} if scaled else "in",
        **traces,
    }


def discriminator_options(ours: State, traces: Options) -> Options:
    """Type and options of a discriminator."""
    first = ours["blocks.0.conv.weight"].shape
    options = {"channels": first[0], "in_channels": first[1], **_norm(ours, "blocks.1.norm")}
    if first[-1] == 1:
        return {"type": "pixel", **options}
    return {"type": "patch", "layers": count(ours, "", r"blocks\.\d+\.conv\.weight") + 1, **options, **traces}


def _norm(ours: State, layer: str) -> Options:
    """Batch norm has a scale; instance norm has none, and leaves the convolutions their biases."""
    if f"{layer}.weight" in ours:
        return {"norm": {"type": "bn", "statistics": "batch"}, "bias": False}
    return {"norm": "in", "bias": True}
