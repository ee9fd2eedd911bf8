"""Comparison with official figures: forward and gradients of one module in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from official_figures import Figures, relative_error
from torch import Tensor, nn

TOLERANCE = 1e-10


def compare(
    found: Mapping[str, Tensor | None],
    figures: Figures,
    prefix: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Compare tensors by name with all figures under a prefix."""
    expected = figures.part(prefix)
    assert expected.keys() <= found.keys(), sorted(expected.keys() - found.keys())
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    assert errors
    wrong = {name: error for name, error in errors.items() if not error <= tolerance}
    assert not wrong, wrong


def load(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Load official parameters by their own names; constants that we compute are left out."""
    kept = {name: value for name, value in parameters.items() if not name.endswith("resample_filter")}
    module.load_state_dict(kept)


def leaves(figures: Figures, *names: str) -> dict[str, Tensor]:
    """Inputs in float64 that require gradients."""
    return {name: figures.tensor(f"input/{name}").double().requires_grad_() for name in names}


def check_component(
    module: nn.Module,
    figures: Figures,
    inputs: Mapping[str, Tensor],
    cases: Mapping[str, Callable[[], Tensor]],
    tolerance: float = TOLERANCE,
    parameters: Callable[[str], str] = lambda name: name,
) -> None:
    """Compare outputs by case, and gradients of their sum with the cotangents."""
    total: Any = 0
    found = {}
    for case, run in cases.items():
        found[case] = run()
        key = f"cot/{case}" if case else "cot"
        total = total + (found[case] * figures.tensor(key).double()).sum()
    if "" in found:
        assert relative_error(found[""], figures["out64"]) <= tolerance
    else:
        compare(found, figures, "out64/", tolerance)
    total.backward()
    if any(key.startswith("grad64/param/") for key in figures):
        gradients = {parameters(name): value.grad for name, value in module.named_parameters()}
        compare(gradients, figures, "grad64/param/", tolerance)
    if any(key.startswith("grad64/input/") for key in figures):
        compare({name: value.grad for name, value in inputs.items()}, figures, "grad64/input/", tolerance)


def double(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float tensors in float64."""
    return {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}


def no_grad(run: Callable[[], Tensor]) -> Tensor:
    with torch.no_grad():
        return run()


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
