"""Checkpoints of PGGAN and StyleGAN (1): the variables of the TensorFlow code, as community files keep them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, OptionError
from i2i.nn.weight_files import few, is_state, load_safetensors, load_weight_file
from i2i_stylegan.importers import AVERAGED_CODES, DISCRIMINATOR, GENERATOR, _widths, data_settings
from i2i_stylegan.progressive import PGGANGenerator, ProgressiveDiscriminator
from i2i_stylegan.stylegan1 import StyleGANGenerator

State = Mapping[str, Tensor]
SCOPES = ("G_synthesis/", "G_mapping/", "G/", "D/")
"""Scopes of the variables; `Gs` stands for the average of `G`."""


def pggan_tensorflow(path: Path) -> Imported:
    """Convert the variables of PGGAN's TensorFlow code, such as `G/4x4/Dense/weight`.

    Args:
        path: a .npz, .safetensors or .pt file of the variables by name, in TensorFlow's layout. Those of `Gs`, the
            averaged generator, are preferred to those of `G`. No code in it is run.

    Returns:
        The recipe `pggan` with the sizes of the networks, which have grown to the largest size.

    Raises:
        CheckpointError: the file is something else, is damaged, or lacks a variable.
    """
    return _converted(path, "pggan")


def stylegan_tensorflow(path: Path) -> Imported:
    """Convert the variables of StyleGAN's TensorFlow code, such as `G_synthesis/4x4/Const/const`.

    Args:
        path: a .npz, .safetensors or .pt file of the variables by name, in TensorFlow's layout; `dlatent_avg` is the
            average style. No code in it is run.

    Returns:
        The recipe `stylegan1` with the sizes of the networks, which have grown to the largest size.

    Raises:
        CheckpointError: the file is something else, is damaged, or lacks a variable.
    """
    return _converted(path, "stylegan1")


def variables(path: Path) -> dict[str, Tensor]:
    """Return the variables of a file by their names without `:0` and with `G` in place of `Gs`."""
    found: Any
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = {name: torch.from_numpy(archive[name]) for name in archive.files}
        except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{path}: expected a .npz file of arrays: {error}") from error
    else:
        found = load_safetensors(path) if path.suffix == ".safetensors" else load_weight_file(path)
    if not is_state(found):
        raise CheckpointError(f"{path}: expected variables by name, found {type(found).__name__}")
    tensors: dict[str, Tensor] = {}
    for full, value in sorted(found.items()):  # names of G before those of Gs, which replace them
        name = full.removesuffix(":0")
        name = name.replace("Gs/", "G/", 1) if name.startswith("Gs/") else name
        for scope in ("G_synthesis/", "G_mapping/"):  # as inside G, which holds both
            name = name.removeprefix("G/") if name.startswith(f"G/{scope}") else name
        tensors[name.removeprefix("G/") if name == "G/dlatent_avg" else name] = value
    return tensors


def _converted(path: Path, recipe: str) -> Imported:
    given = variables(path)
    try:
        return _networks(path, recipe, given)
    except KeyError as error:
        hint = f"; it has {few(given)}"
        raise CheckpointError(
            f"{path}: expected variables of {recipe}, but there is no {error.args[0]!r}{hint}"
        ) from error
    except OptionError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _networks(path: Path, recipe: str, given: State) -> Imported:
    style = recipe == "stylegan1"
    scope = "G_synthesis" if style else "G"
    sides = [size for size in (2**power for power in range(2, 12)) if f"{scope}/{size}x{size}/Conv1/weight" in given]
    side = max([4, *sides])
    widths = {4: given[f"{scope}/4x4/Conv/weight"].shape[3]}
    widths |= {size: given[f"{scope}/{size}x{size}/Conv1/weight"].shape[3] for size in sides}
    found = _widths(scope, widths)
    channels = {"channel_base": max(found["channel_base"] // 2, 1), "channel_max": found["channel_max"]}
    color = given[f"{scope}/ToRGB_lod0/weight"].shape[3]
    options: dict[str, Any] = dict(channels)
    if style:
        layers = sum(name.startswith("G_mapping/Dense") and name.endswith("/weight") for name in given)
        embedding = given.get("G_mapping/LabelConcat/weight")
        classes = 0 if embedding is None else len(embedding)
        inputs = given["G_mapping/Dense0/weight"].shape[0]
        options |= {
            "z_dim": inputs if embedding is None else embedding.shape[1],
            "w_dim": given[f"G_mapping/Dense{layers - 1}/weight"].shape[1],
            "mapping_layers": layers,
            "mapping_features": given["G_mapping/Dense0/weight"].shape[1],
        }
        generator: Any = StyleGANGenerator(color, side, side, classes, **options)
    else:
        classes = max(given["D/4x4/Dense1/weight"].shape[1] - 1, 0) if "D/4x4/Dense1/weight" in given else 0
        options |= {
            "z_dim": given["G/4x4/Dense/weight"].shape[0] - classes,
            "fused": any(name.endswith("/Conv0_up/weight") for name in given),
        }
        generator = PGGANGenerator(color, side, side, classes, **options)
    weights = {GENERATOR + name: value for name, value in _state(path, generator, "G", given).items()}
    notes = [f"took the generator, {widths[side]} channels at {side} px"]
    if style:
        average = given.get("dlatent_avg", given.get("G_mapping/dlatent_avg"))
        if average is None:
            average = _average(generator)
            notes.append(f"the average style is not in the file; it is that of {AVERAGED_CODES} latent codes")
        weights[f"{GENERATOR}mapping.w_avg"] = average.reshape(-1).float()
    settings = {f"translator.generator.{name}": value for name, value in options.items()}
    settings |= data_settings(side, color, classes) | {"translator.stages": [{"size": side, "stable": 1}]}
    untrained: tuple[str, ...] = ("discriminators",)
    if "D/FromRGB_lod0/weight" in given:
        fused = style or any(name.endswith("/Conv1_down/weight") for name in given)
        more: dict[str, Any] = channels | {"fused": fused}
        kind = "projection" if style else "head"
        critic = ProgressiveDiscriminator(color, side, side, classes, blur=style, classes=kind, **more)
        weights |= {DISCRIMINATOR + name: value for name, value in _state(path, critic, "D", given).items()}
        settings |= {f"translator.discriminators.image.{name}": value for name, value in more.items()}
        untrained = ()
    notes += ["layers for smaller images are left out: the networks have grown", "optimizers start from scratch"]
    summary = f"{'StyleGAN' if style else 'PGGAN'}, {side} px, {classes} classes; recipe {recipe}"
    return Imported(recipe, settings, weights, summary, 1, untrained, tuple(notes))


def _state(path: Path, network: nn.Module, prefix: str, given: State) -> dict[str, Tensor]:
    """Return the state dict of a network from the variables; refuse other shapes, and variables that are unknown."""
    table = tensorflow_names(network, prefix)
    state = dict(network.state_dict())
    for theirs, (ours, change) in table.items():
        if ours not in state:
            continue  # a layer for smaller images
        value = change(given[theirs].float())
        if value.shape != state[ours].shape:
            expected = list(state[ours].shape)
            raise CheckpointError(f"{path}: {theirs}: expected {expected} in our layout, got {list(value.shape)}")
        state[ours] = value.contiguous()
    network.load_state_dict(state)
    scopes = ("D/",) if prefix == "D" else SCOPES[:3]
    rest = [name for name in given if name.startswith(scopes) and name not in table]
    rest = [name for name in rest if not name.endswith(("/lod", "_avg"))]
    if rest:
        raise CheckpointError(f"{path}: unknown variables {few(rest)}")
    return state


@torch.no_grad()
def _average(generator: Any) -> Tensor:
    """Return the average style of fixed latent codes, of the classes in turn."""
    z = torch.randn(AVERAGED_CODES, generator.z_dim, generator=torch.Generator().manual_seed(0))
    embedding = getattr(generator.mapping, "embedding", None)
    c = None if embedding is None else torch.eye(len(embedding))[torch.arange(AVERAGED_CODES) % len(embedding)]
    average: Tensor = generator.mapping.eval()(z, c)[:, 0].mean(0)
    return average


def tensorflow_names(network: nn.Module, prefix: str) -> dict[str, tuple[str, Callable[[Tensor], Tensor]]]:
    """Return our name of each variable of the TensorFlow code of PGGAN and StyleGAN, and how it becomes our tensor.

    Args:
        network: `PGGANGenerator`, `StyleGANGenerator` or `ProgressiveDiscriminator`.
        prefix: `G` or `D`.
    """

    def conv(weight: Tensor) -> Tensor:
        return weight.permute(3, 2, 0, 1)

    def transposed(weight: Tensor) -> Tensor:
        """Kernel [k, k, out, in] of a fused layer, which is a flipped one after nearest upsampling."""
        return weight.permute(2, 3, 0, 1).flip(2, 3)

    def keep(value: Tensor) -> Tensor:
        return value

    def matrix(weight: Tensor) -> Tensor:
        return weight.t()

    table: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {}

    def layer(theirs: str, ours: str, change: Callable[[Tensor], Tensor]) -> None:
        table[f"{theirs}/weight"] = f"{ours}.weight", change
        table[f"{theirs}/bias"] = f"{ours}.bias", keep

    style = hasattr(network, "synthesis")
    growing: Any = network.synthesis if style else network
    side: int = growing.size_limit
    sizes = [2**power for power in range(2, side.bit_length())]
    if prefix == "D":
        for size in sizes:
            layer(f"D/FromRGB_lod{(side // size).bit_length() - 1}", f"from_rgb.{size}", conv)
        for size in sizes[1:]:
            layer(f"D/{size}x{size}/Conv0", f"blocks.{size}.0", conv)
            layer(f"D/{size}x{size}/{'Conv1_down' if growing.fused else 'Conv1'}", f"blocks.{size}.1", conv)
        layer("D/4x4/Conv", "base", conv)
        layer("D/4x4/Dense0", "dense", matrix)
        layer("D/4x4/Dense1", "out", matrix)
        return table
    scope, inner = ("G_synthesis", "synthesis.") if style else ("G", "")
    for size in sizes:
        layer(f"{scope}/ToRGB_lod{(side // size).bit_length() - 1}", f"{inner}to_rgb.{size}", conv)
    if not style:
        layer("G/4x4/Dense", "dense", lambda w: w.view(len(w), -1).t())
        layer("G/4x4/Conv", "base", conv)
        fused = getattr(network, "fused", False)
        for size in sizes[1:]:
            name = "Conv0_up" if fused else "Conv0"
            layer(f"G/{size}x{size}/{name}", f"blocks.{size}.0", transposed if fused else conv)
            layer(f"G/{size}x{size}/Conv1", f"blocks.{size}.1", conv)
        return table
    mapping: Any = network.mapping
    for index in range(len(mapping.layers)):
        layer(f"G_mapping/Dense{index}", f"mapping.layers.{index}", matrix)
    if hasattr(mapping, "embedding"):
        table["G_mapping/LabelConcat/weight"] = "mapping.embedding", keep
    table["G_synthesis/4x4/Const/const"] = "synthesis.const", lambda value: value[0]
    for index in range(growing.num_ws):
        size = sizes[index // 2]
        part = ("Const", "Conv") if size == 4 else ("Conv0_up", "Conv1")
        theirs, ours = f"G_synthesis/{size}x{size}/{part[index % 2]}", f"synthesis.epilogues.{index}"
        table[f"{theirs}/Noise/weight"] = f"{ours}.noise_strength", keep
        table[f"{theirs}/bias"] = f"{ours}.bias", keep
        table[f"{theirs}/StyleMod/weight"] = f"{ours}.style.weight", matrix
        table[f"{theirs}/StyleMod/bias"] = f"{ours}.style.bias", keep
        table[f"G_synthesis/noise{index}"] = f"{ours}.noise_const", lambda value: value[0, 0]
        if index:
            # From 128 px on, the official code fuses upsampling and convolution.
            fused = index % 2 == 0 and size >= 128
            table[f"{theirs}/weight"] = f"synthesis.convs.{index - 1}.weight", transposed if fused else conv
    return table
