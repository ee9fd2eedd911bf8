"""The released weights of CartoonGAN and of AnimeGANv2's port to PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.nn.foreign import few, load
from i2i_cartoongan import official_names
from i2i_cartoongan.anime_generator import AnimeGenerator
from i2i_cartoongan.cartoon_generator import CartoonGenerator

State = dict[str, Tensor]
PREFIX = "generator."
"""Where the generator's weights stand in the translator's state."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Source(NamedTuple):
    """One release.

    Args:
        method: its name, for messages.
        network: our generator.
        first: the official name of the first convolution, whose shape tells the channels.
        block: a pattern of names, one for each residual block.
        layers: official layers by our names.
        leaves: parameters that are called otherwise there.
    """

    method: str
    network: Callable[..., nn.Module]
    first: str
    block: str
    layers: Callable[[int], official_names.Layers]
    leaves: Mapping[str, str]


CARTOONGAN = Source(
    "CartoonGAN",
    CartoonGenerator,
    "conv01_1.weight",
    r"conv\d+_2\.weight",
    official_names.cartoongan,
    official_names.LEAVES,
)
ANIMEGAN2 = Source(
    "AnimeGANv2",
    AnimeGenerator,
    "block_a.0.1.weight",
    r"block_c\.\d+\.layers\.2\.weight",
    official_names.animegan2,
    {},
)


def cartoongan_pytorch(path: Path) -> Imported:
    """Reads `{Hayao,Hosoda,Paprika,Shinkai}_net_G_float.pth`, whose generator wants its colours as BGR.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    # The two halvings have a second convolution too.
    return _imported(CARTOONGAN, path, "cartoongan", less=2, more={"channel_order": "bgr"}, note=", colours in BGR")


def animegan2_pytorch(path: Path) -> Imported:
    """Reads a generator of the port of AnimeGANv2, such as `face_paint_512_v2.pt` or `paprika.pt`.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    return _imported(ANIMEGAN2, path, "animegan2")


def export(source: Source, weights: Mapping[str, Tensor]) -> State:
    """The generator of a translator's state under the official names; undoes the import to the bit."""
    own = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    marker = "second.conv.weight" if source is CARTOONGAN else "project.weight"
    names = _names(source, sum(name.endswith(marker) for name in own), own)
    return {official: own[ours] for official, ours in names.items()}


def _imported(
    source: Source, path: Path, recipe: str, less: int = 0, more: Mapping[str, Any] | None = None, note: str = ""
) -> Imported:
    given = _state(source, path)
    blocks = sum(re.fullmatch(source.block, name) is not None for name in given) - less
    options = {"channels": given[source.first].shape[0], "blocks": blocks, **(more or {})}
    if blocks < 1 or given[source.first].ndim != 4:
        raise CheckpointError(f"{path}: expected {source.method}'s residual blocks, found {few(given)}")
    with torch.device("meta"):
        expected = source.network(**options).state_dict()
    names = _names(source, blocks, expected)
    dropped = [name for name in given if name not in names and name.endswith(STATISTICS)]
    unknown = [name for name in given if name not in names and name not in dropped]
    missing = [name for name in names if name not in given]
    if unknown or missing:
        what = [f"it lacks {few(missing)}"] if missing else []
        what += [f"it has {few(unknown)} beside"] if unknown else []
        sizes = f"{options['channels']} channels and {blocks} blocks"
        raise CheckpointError(f"{path}: no generator of {source.method} with {sizes}: {', and '.join(what)}")
    for official, ours in names.items():
        if given[official].shape != expected[ours].shape:
            wanted, got = list(expected[ours].shape), list(given[official].shape)
            raise CheckpointError(f"{path}: {official} has shape {got}; the other weights ask for {wanted}")
    summary = f"{source.method}, a generator of {options['channels']} channels and {blocks} blocks{note}"
    if dropped:
        summary += f"; dropped {len(dropped)} running statistics that the norms do not use: {few(dropped)}"
    return Imported(
        recipe,
        {f"translator.generator.{name}": value for name, value in options.items()},
        {PREFIX + ours: given[official] for official, ours in names.items()},
        f"{summary}; no discriminator, which begins anew; no optimizer state",
        untrained=("discriminators",),
    )


def _names(source: Source, blocks: int, own: Mapping[str, Tensor]) -> dict[str, str]:
    """Official names of tensors, each with ours."""
    theirs = {ours: official for official, ours in source.layers(blocks).items()}
    norms = {ours: theirs for theirs, ours in source.leaves.items()}
    names = {}
    for name in own:
        layer, _, leaf = name.rpartition(".")
        called = norms.get(leaf, leaf) if layer.endswith("norm") else leaf
        names[f"{theirs[layer]}.{called}"] = name
    return names


def _state(source: Source, path: Path) -> State:
    loaded = load(path)
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        held = few(loaded) if isinstance(loaded, Mapping) else f"a {type(loaded).__name__}"
        raise CheckpointError(f"{path}: expected the plain state dict of a generator, found {held}")
    state = {str(name).removeprefix("module."): value for name, value in loaded.items()}
    if source.first not in state:
        raise CheckpointError(f"{path}: expected {source.method}'s {source.first}, found {few(state)}")
    return state
