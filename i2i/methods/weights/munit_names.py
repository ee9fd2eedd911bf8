"""The names of MUNIT's and UNIT's official weights, and ours, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

State = Mapping[str, Tensor]
Method = Literal["munit", "unit"]

DISCRIMINATORS = {domain: f"discriminators.{domain}.multiscale." for domain in "ab"}
GENERATORS = {method: {domain: f"generators.{domain}." for domain in "ab"} for method in ("munit", "unit")}
"""Where each domain's networks stand in the translator's state."""


class Counts(NamedTuple):
    """How often the repeated parts of a network are there; 0 for those of other networks."""

    downsamplings: int
    blocks: int
    style_downsamplings: int
    layers: int
    scales: int


def counts(state: State) -> Counts:
    """Counts the parts of an official network by its names."""

    def count(pattern: str) -> int:
        return sum(re.fullmatch(pattern, str(name)) is not None for name in state)

    return Counts(
        downsamplings=count(r"enc(_content)?\.model\.\d+\.conv\.weight") - 1,
        blocks=count(r"dec\.model\.0\.model\.\d+\.model\.0\.conv\.weight"),
        style_downsamplings=count(r"enc_style\.model\.\d+\.conv\.weight") - 1,
        layers=count(r"cnns\.0\.\d+\.conv\.weight"),
        scales=count(r"cnns\.\d+\.0\.conv\.weight"),
    )


def names_of(found: Counts, kind: str, method: str) -> dict[str, str]:
    """Official name: our name, of every tensor of a network, the dummy statistics of AdaIN left out."""
    layers: dict[str, str] = {}
    if kind == "discriminator":
        for scale in range(found.scales):
            for layer in range(found.layers):
                layers[f"cnns.{scale}.{layer}.conv"] = f"scales.{scale}.blocks.{layer}.conv"
            layers[f"cnns.{scale}.{found.layers}"] = f"scales.{scale}.final"
        return _with_parts(layers)
    content, down = ("enc_content" if method == "munit" else "enc"), found.downsamplings
    if method == "munit":
        layers["enc_style.model.0.conv"] = "style_encoder.stem.conv"
        for index in range(found.style_downsamplings):
            layers[f"enc_style.model.{index + 1}.conv"] = f"style_encoder.down.{index}.conv"
        layers[f"enc_style.model.{found.style_downsamplings + 2}"] = "style_encoder.head"
    layers[f"{content}.model.0.conv"] = "encoder.stem.conv"
    for index in range(down):
        layers[f"{content}.model.{index + 1}.conv"] = f"encoder.down.{index}.conv"
    for index in range(found.blocks):
        for half, name in enumerate(("first", "second")):
            block = f"{content}.model.{down + 1}.model.{index}"
            layers[f"{block}.model.{half}.conv"] = f"encoder.blocks.{index}.{name}.conv"
            layers[f"dec.model.0.model.{index}.model.{half}.conv"] = f"decoder.{index}.{name}.conv"
    norms: dict[str, str] = {}
    for index in range(down):
        layers[f"dec.model.{2 + 2 * index}.conv"] = f"image_decoder.up.{index}.conv"
        norms[f"dec.model.{2 + 2 * index}.norm.gamma"] = f"image_decoder.up.{index}.norm.weight"
        norms[f"dec.model.{2 + 2 * index}.norm.beta"] = f"image_decoder.up.{index}.norm.bias"
    layers[f"dec.model.{2 * down + 1}.conv"] = "image_decoder.head"
    if method == "munit":
        layers |= {f"mlp.model.{index}.fc": f"mlp.layers.{index}" for index in range(3)}
    return _with_parts(layers) | norms


def convert(state: State, names: Mapping[str, str]) -> dict[str, Tensor]:
    """An official network's tensors under our names."""
    return {ours: state[official] for official, ours in names.items()}


def export(weights: State, kind: str, method: str) -> dict[str, dict[str, Tensor]]:
    """The official state dicts of both domains, `{"a": ..., "b": ...}`, as `gen_*.pt` and `dis_*.pt` hold them.

    Undoes the import to the bit; MUNIT's AdaIN layers get their dummy statistics back, zeros and ones.

    Args:
        weights: the translator's state.
        kind: "generator" or "discriminator".
        method: "munit" or "unit".
    """
    prefixes = DISCRIMINATORS if kind == "discriminator" else GENERATORS[method]
    states: dict[str, dict[str, Tensor]] = {}
    for domain, prefix in prefixes.items():
        mine = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        names = names_of(our_counts(mine), kind, method)
        states[domain] = {official: mine[ours] for official, ours in names.items()}
        for official, ours in names.items():
            if method == "munit" and re.fullmatch(r"decoder\.\d+\.\w+\.conv\.bias", ours):
                norm = official.replace(".conv.bias", ".norm")
                states[domain][f"{norm}.running_mean"] = torch.zeros_like(mine[ours])
                states[domain][f"{norm}.running_var"] = torch.ones_like(mine[ours])
    return states


def our_counts(mine: State) -> Counts:
    """Counts the parts of one of our networks by its names."""

    def count(pattern: str) -> int:
        return sum(re.fullmatch(pattern, name) is not None for name in mine)

    return Counts(
        downsamplings=count(r"encoder\.down\.\d+\.conv\.weight"),
        blocks=count(r"decoder\.\d+\.first\.conv\.weight"),
        style_downsamplings=count(r"style_encoder\.down\.\d+\.conv\.weight"),
        layers=count(r"scales\.0\.blocks\.\d+\.conv\.weight"),
        scales=count(r"scales\.\d+\.final\.weight"),
    )


def _with_parts(layers: Mapping[str, str]) -> dict[str, str]:
    return {f"{official}.{part}": f"{ours}.{part}" for official, ours in layers.items() for part in ("weight", "bias")}
