"""AdaLIN and ILN whose share is a softmax of two logits: the official figures, where it starts, what holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error

from i2i.core.kinds import ADAPTIVE_NORM, NORM
from i2i.nn.norms.mixed import AdaptiveLayerInstanceNorm, InstanceLayerNorm


@pytest.mark.parametrize("section", ["adailn", "iln"])
def test_official_figures(golden: Path, section: str) -> None:
    figures = read(golden / "nicegan", "layers")
    prefix = "iln_" if section == "iln" else ""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        kind = InstanceLayerNorm if section == "iln" else AdaptiveLayerInstanceNorm
        given = {name: figures.tensor(prefix + name).to(dtype).requires_grad_() for name in ("gamma", "beta")}
        given["input"] = figures.tensor("input").to(dtype).requires_grad_()
        norm = kind(given["input"].shape[1], mix="softmax").to(dtype)
        with torch.no_grad():
            for name, parameter in norm.named_parameters():
                parameter.copy_({**given, "rho": figures.tensor("rho")}[name].reshape(parameter.shape))
        y = norm(given["input"]) if section == "iln" else norm(given["input"], given["gamma"], given["beta"])
        assert relative_error(y, figures[f"{section}/out64"]) < tolerance / 10
        (y * figures.tensor("cot").to(dtype)).sum().backward()
        shapes = {name: figures.tensor(prefix + name).shape for name in ("gamma", "beta")}
        shapes["rho"] = figures.tensor("rho").shape
        for name, leaf in {**given, **dict(norm.named_parameters())}.items():
            assert leaf.grad is not None
            gradient = leaf.grad.reshape(shapes.get(name, leaf.shape))
            assert relative_error(gradient, figures[f"{section}/grad64/{name}"]) < 10 * tolerance, name


def test_starts_nine_tenths_to_one_side() -> None:
    adaptive, plain = ADAPTIVE_NORM("adalin", mix="softmax")(3), NORM("iln", mix="softmax")(3)
    assert adaptive.rho.tolist() == [[pytest.approx(3.2), 1.0]] * 3  # type: ignore[attr-defined]
    assert adaptive.instance_share.tolist() == pytest.approx([0.9002] * 3, abs=1e-4)  # type: ignore[attr-defined]
    assert plain.instance_share.tolist() == pytest.approx([0.0998] * 3, abs=1e-4)  # type: ignore[attr-defined]


def test_logits_are_not_clamped() -> None:
    norm = AdaptiveLayerInstanceNorm(2, mix="softmax")
    norm.constrain_()
    assert norm.rho.max() > 3
    assert ((norm.instance_share >= 0) & (norm.instance_share <= 1)).all()


def test_equal_logits_are_half_of_each() -> None:
    x, gamma, beta = torch.randn(2, 4, 5, 6), torch.randn(2, 4), torch.randn(2, 4)
    half = AdaptiveLayerInstanceNorm(4, rho=0.5)(x, gamma, beta)
    softmax = AdaptiveLayerInstanceNorm(4, mix="softmax", logits=(2.0, 2.0))(x, gamma, beta)
    assert torch.allclose(softmax, half, atol=1e-6)
