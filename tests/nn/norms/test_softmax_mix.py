"""AdaLIN and ILN whose share is a softmax of two logits: the official figures, where it starts, what holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.core.kinds import ADAPTIVE_NORM, NORM
from i2i.nn.norms.mixed import AdaptiveLayerInstanceNorm, InstanceLayerNorm


def relative(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    return float((got.detach().double().view_as(expected) - expected).norm() / expected.norm())


@pytest.mark.parametrize("section", ["adailn", "iln"])
def test_official_figures(golden: Path, section: str) -> None:
    figures = load_file(golden / "nicegan" / "layers.safetensors")
    channels = figures["input"].shape[1]
    prefix = "iln_" if section == "iln" else ""
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-5)):
        kind = InstanceLayerNorm if section == "iln" else AdaptiveLayerInstanceNorm
        norm = kind(channels, mix="softmax").to(dtype)
        given = {name: figures[prefix + name].to(dtype).requires_grad_() for name in ("gamma", "beta")}
        given["input"] = figures["input"].to(dtype).requires_grad_()
        with torch.no_grad():
            norm.rho.copy_(figures["rho"][0])
            for name, parameter in norm.named_parameters():
                parameter.copy_({**given, "rho": figures["rho"]}[name].reshape(parameter.shape))
        y = norm(given["input"]) if section == "iln" else norm(given["input"], given["gamma"], given["beta"])
        assert relative(y, figures[f"{section}/out64"]) < tolerance
        (y * figures["cot"].to(dtype)).sum().backward()
        for name, leaf in {**given, **dict(norm.named_parameters())}.items():
            assert relative(leaf.grad, figures[f"{section}/grad64/{name}"]) < 100 * tolerance, name


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
