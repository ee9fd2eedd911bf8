"""Comparison with official figures: forward and gradients of one module in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from official_figures import Figures, norm, relative_error
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
    # What a result does not depend on has no gradient with us, and zeros in some figures.
    errors = {
        name: norm(value) if found[name] is None else relative_error(found[name], value)
        for name, value in expected.items()
    }
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
        if key in figures:
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
