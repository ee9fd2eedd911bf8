"""Every norm: shapes, gradients, state, and the official AdaLIN and ILN."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error
from torch import nn

from i2i.core.kinds import ADAPTIVE_NORM, NORM
from i2i.errors import OptionError
from i2i.nn.norms.batch import BatchNorm
from i2i.nn.norms.group import GroupNorm
from i2i.nn.norms.instance import AdaptiveInstanceNorm, InstanceNorm
from i2i.nn.norms.layer import LayerNorm
from i2i.nn.norms.mixed import AdaptiveLayerInstanceNorm, InstanceLayerNorm

PLAIN = [
    lambda c: InstanceNorm(c),
    lambda c: InstanceNorm(c, affine=True, unbiased=True, eps_on="std"),
    lambda c: LayerNorm(c),
    lambda c: LayerNorm(c, affine=False),
    lambda c: GroupNorm(c, groups=2),
    lambda c: BatchNorm(c),
    lambda c: InstanceLayerNorm(c, rho=0.5),
]
ADAPTIVE = [lambda c: AdaptiveInstanceNorm(c), lambda c: AdaptiveLayerInstanceNorm(c)]


@pytest.mark.parametrize("build", [*PLAIN, *ADAPTIVE])
def test_shapes_gradients_and_state(build: object, tmp_path: Path) -> None:
    for batch, channels, height, width in ((1, 4, 5, 3), (2, 6, 2, 2)):
        norm: nn.Module = build(channels)  # type: ignore[operator]
        more = torch.randn(2, batch, channels).unbind() if type(norm).__name__.startswith("Adaptive") else ()
        x = torch.randn(batch, channels, height, width, requires_grad=True)
        y = norm(x, *more)
        assert y.shape == x.shape
        (y * torch.randn_like(y)).sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in (x, *norm.parameters()))
    torch.save(norm.state_dict(), tmp_path / "norm.pt")
    other: nn.Module = build(channels)  # type: ignore[operator]
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.normal_()
    other.load_state_dict(norm.state_dict())
    assert torch.equal(norm.eval()(x, *more), other.eval()(x, *more))


@pytest.mark.parametrize(("section", "adaptive"), [("adailn", True), ("iln", False)])
def test_official_adalin_and_iln(golden: Path, section: str, adaptive: bool) -> None:
    figures = read(golden / "ugatit", "layers")
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-5)):
        names = ("input", "rho", "gamma", "beta")
        given = {name: figures.tensor(f"{section}/{name}").to(dtype).requires_grad_() for name in names}
        norm = (AdaptiveLayerInstanceNorm if adaptive else InstanceLayerNorm)(given["input"].shape[1]).to(dtype)
        with torch.no_grad():
            for name, parameter in norm.named_parameters():
                parameter.copy_(given[name].view(-1))
        y = norm(given["input"], given["gamma"], given["beta"]) if adaptive else norm(given["input"])
        assert relative_error(y, figures[f"{section}/output64"]) < tolerance
        (y * figures.tensor(f"{section}/cot").to(dtype)).sum().backward()
        for name, leaf in {**given, **dict(norm.named_parameters())}.items():
            assert leaf.grad is not None
            gradient = leaf.grad.view_as(given[name])
            # The larger set keeps some gradients in single precision.
            stored = 1e-7 if getattr(figures[f"{section}/grad64/{name}"], "dtype", None) == torch.float32 else 0.0
            assert relative_error(gradient, figures[f"{section}/grad64/{name}"]) < 10 * tolerance + stored, name


@pytest.mark.parametrize("method", ["munit", "unit"])
def test_official_layer_norm(golden: Path, method: str) -> None:
    figures = read(golden / method, "layernorm")
    gain, offset = (figures.tensor(name).double() for name in ("gamma", "beta"))
    norm = LayerNorm(
        len(gain),
        unbiased=figures.config["unbiased_std"],
        eps=figures.config["eps"],
        eps_on=figures.config["eps_added_to"],
        init="uniform",
    ).double()
    norm.load_state_dict({"weight": gain, "bias": offset})
    for case in ("b1", "b3"):
        norm.zero_grad()
        x = figures.tensor(f"input_{case}").double().requires_grad_()
        y = norm(x)
        (y * figures.tensor(f"cot_{case}").double()).sum().backward()
        assert relative_error(y, figures[f"{case}/out64"]) < 1e-10
        for leaf, name in ((x, "input"), (norm.weight, "gamma"), (norm.bias, "beta")):
            assert leaf is not None
            assert relative_error(leaf.grad, figures[f"{case}/grad64/{name}"]) < 1e-10, name


def test_rho_is_clamped() -> None:
    for norm in (InstanceLayerNorm(3), AdaptiveLayerInstanceNorm(3)):
        with torch.no_grad():
            norm.rho.copy_(torch.tensor([-0.5, 0.25, 1.5]))
        norm.constrain_()
        assert norm.rho.tolist() == [0.0, 0.25, 1.0]
        assert norm.rho.requires_grad


def test_starts_as_the_paper_says() -> None:
    assert AdaptiveLayerInstanceNorm(2).rho.tolist() == pytest.approx([0.9, 0.9])
    assert InstanceLayerNorm(2).rho.tolist() == [0.0, 0.0]
    assert not list(InstanceNorm(2).parameters())


def test_group_norm_names_a_legal_number() -> None:
    message = "groups: expected a divisor of the 48 channels, got 32; the nearest below is 24"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        GroupNorm(48)
    with pytest.raises(OptionError, match=r"got 0; the nearest below is 1$"):
        GroupNorm(48, groups=0)


def test_registered_names() -> None:
    built = {name: type(NORM(name)(32)) for name in ("in", "bn", "ln", "gn", "iln")}
    assert list(built.values()) == [InstanceNorm, BatchNorm, LayerNorm, GroupNorm, InstanceLayerNorm]
    assert [type(ADAPTIVE_NORM(name)(32)) for name in ("adain", "adalin")] == [
        AdaptiveInstanceNorm,
        AdaptiveLayerInstanceNorm,
    ]
