"""Checkpoints of StyleGAN (1) in the layout of rosinality/style-based-gan-pytorch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, OptionError
from i2i.nn.weight_files import few, is_state, load_weight_file
from i2i_stylegan.growing_importers import _average
from i2i_stylegan.importers import AVERAGED_CODES, GENERATOR, _widths, data_settings
from i2i_stylegan.stylegan1 import StyleGANGenerator

State = Mapping[str, Tensor]
MAPPING_RATE = 0.01
"""Factor that is inside our mapping network, and in the learning rate of the official one."""


def rosinality(path: Path) -> Imported:
    """Convert a checkpoint of rosinality/style-based-gan-pytorch, such as `train_step-6.model`.

    The file holds layers up to 1024 px, however far the network has grown; the strengths of the noise start at 0, so
    the last size with others is the one that was trained.

    Args:
        path: a file with the generator `g_running`, or the state dict of the generator alone. No code in it is run.

    Returns:
        The recipe `stylegan1` with the sizes of the generator, which has grown to the trained size.

    Raises:
        CheckpointError: the file is something else, is damaged, or lacks a tensor.
    """
    content = load_weight_file(path)
    official = content.get("g_running", content) if isinstance(content, dict) else None
    if not is_state(official) or "style.1.linear.weight_orig" not in official:
        found = few(content) if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: expected a file with the generator g_running, found {found}")
    try:
        return _converted(path, official)
    except KeyError as error:
        raise CheckpointError(f"{path}: the generator lacks {error.args[0]}") from error
    except OptionError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _converted(path: Path, official: State) -> Imported:
    blocks = sum(re.fullmatch(r"generator\.to_rgb\.\d+\.conv\.bias", name) is not None for name in official)
    strengths = [
        any(bool(official[f"generator.progression.{block}.noise{part}.weight_orig"].any()) for part in (1, 2))
        for block in range(blocks)
    ]
    trained = max((block for block in range(blocks) if strengths[block]), default=blocks - 1) + 1
    widths = {4 << k: len(official[f"generator.progression.{k}.conv2.conv.bias"]) for k in range(trained)}
    side, found = max(widths), _widths("g_running", widths)
    layers = sum(re.fullmatch(r"style\.\d+\.linear\.bias", name) is not None for name in official)
    first = official["style.1.linear.weight_orig"]
    options = {
        "z_dim": first.shape[1],
        "w_dim": official[f"style.{2 * layers - 1}.linear.weight_orig"].shape[0],
        "mapping_layers": layers,
        "mapping_features": first.shape[0],
        "channel_base": max(found["channel_base"] // 2, 1),
        "channel_max": found["channel_max"],
        "norm_eps": 1e-5,
        "blur_bias": True,
    }
    color = len(official["generator.to_rgb.0.conv.bias"])
    generator = StyleGANGenerator(color, side, side, **options)
    state = dict(generator.state_dict())
    for name, value in tensors(official, trained, layers).items():
        if state[name].shape != value.shape:
            expected = list(state[name].shape)
            raise CheckpointError(f"{path}: {name}: expected the shape {expected}, got {list(value.shape)}")
        state[name] = value.contiguous()
    generator.load_state_dict(state)
    state["mapping.w_avg"] = _average(generator)
    notes = [
        f"took the generator up to {side} px, the last size whose noise was trained",
        f"the average style is not in the file; it is that of {AVERAGED_CODES} latent codes",
        "the file has no noise maps; fixed random ones are stored, one for each size",
        "optimizers start from scratch",
    ]
    settings = {f"translator.generator.{name}": value for name, value in options.items()}
    settings |= data_settings(side, color) | {"translator.stages": [{"size": side, "stable": 1}]}
    weights = {GENERATOR + name: value for name, value in state.items()}
    summary = f"StyleGAN, {side} px; recipe stylegan1"
    return Imported("stylegan1", settings, weights, summary, 1, ("discriminators",), tuple(notes))


def tensors(official: State, blocks: int, layers: int) -> dict[str, Tensor]:
    """Return our tensors for those of an official generator.

    Official run-time factors are those of a gain of sqrt(2) everywhere, biases are stored as they are added, and the
    bias of the scales includes their 1.

    Args:
        official: state dict of the generator.
        blocks: number of sizes from 4 px on.
        layers: number of layers of the mapping network.
    """
    ours: dict[str, Tensor] = {}
    draws = torch.Generator().manual_seed(0)
    for index in range(layers):
        for part, theirs in (("weight", "weight_orig"), ("bias", "bias")):
            ours[f"mapping.layers.{index}.{part}"] = official[f"style.{2 * index + 1}.linear.{theirs}"] / MAPPING_RATE
    ours["synthesis.const"] = official["generator.progression.0.conv1.input"][0]
    for block in range(blocks):
        prefix, side = f"generator.progression.{block}", 4 << block
        noise = torch.randn(side, side, generator=draws)  # both layers of a size share their map
        for part in (1, 2):
            layer = f"synthesis.epilogues.{2 * block + part - 1}"
            strength = official[f"{prefix}.noise{part}.weight_orig"].flatten()
            ours[f"{layer}.noise_strength"] = strength * math.sqrt(2 / len(strength))
            ours[f"{layer}.noise_const"] = noise
            style, channels = f"{prefix}.adain{part}.style.linear", len(strength)
            ours[f"{layer}.style.weight"] = official[f"{style}.weight_orig"] * math.sqrt(2)
            shift = torch.cat([torch.ones(channels), torch.zeros(channels)])
            ours[f"{layer}.style.bias"] = official[f"{style}.bias"] - shift
            ours[f"{layer}.bias"] = torch.zeros(channels)
        number = 2 * block  # of the convolution after the block's first layer
        ours[f"synthesis.convs.{number}.weight"] = official[f"{prefix}.conv2.conv.weight_orig"]
        ours[f"synthesis.epilogues.{number + 1}.bias"] = official[f"{prefix}.conv2.conv.bias"]
        if block:
            up = f"synthesis.convs.{number - 1}"
            fused = f"{prefix}.conv1.0.weight" in official
            if fused:  # a transposed convolution is one with a flipped kernel; the code divides its sums by 4
                ours[f"{up}.weight"] = official[f"{prefix}.conv1.0.weight"].transpose(0, 1).flip(2, 3) / 4
            else:
                ours[f"{up}.weight"] = official[f"{prefix}.conv1.1.conv.weight_orig"]
            ours[f"{up}.bias"] = official[f"{prefix}.conv1.{'0.bias' if fused else '1.conv.bias'}"]
    last = f"generator.to_rgb.{blocks - 1}.conv"
    ours[f"synthesis.to_rgb.{4 << (blocks - 1)}.weight"] = official[f"{last}.weight_orig"] * math.sqrt(2)
    ours[f"synthesis.to_rgb.{4 << (blocks - 1)}.bias"] = official[f"{last}.bias"]
    return {name: value.float() for name, value in ours.items()}
