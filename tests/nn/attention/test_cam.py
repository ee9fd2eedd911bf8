"""CAM and residual CAM against independent statements of their formulas."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.kinds import ATTENTION
from i2i.errors import OptionError
from i2i.nn.attention.cam import CAM, ResidualCAM


def reference(cam: CAM, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    pooled = {"average": F.adaptive_avg_pool2d(x, 1), "max": F.adaptive_max_pool2d(x, 1)}
    logits, weighted = [], []
    for name, classifier in cam.classifiers.items():
        logits.append(classifier(pooled[name].flatten(1)))
        weighted.append(x * classifier.get_parameter("weight")[:, :, None, None])
    features = cam.activation(cam.mix(torch.cat(weighted, 1)))
    return features, torch.cat(logits, 1), features.sum(1, keepdim=True)


@pytest.mark.parametrize("pools", [("average", "max"), ("max",), ("average",)])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_definition(pools: tuple[str, ...], spectral_norm: bool) -> None:
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    cam = CAM(6, pools, nn.LeakyReLU(0.2), spectral_norm).double().eval()  # type: ignore[arg-type]
    results, expected = cam(x), reference(cam, x)
    for got, wanted in zip(results, expected, strict=True):
        torch.testing.assert_close(got, wanted)
    cotangents = [torch.randn_like(wanted) for wanted in expected]
    gradients = [
        torch.autograd.grad(made, list(cam.parameters()), cotangents) for made in (tuple(cam(x)), reference(cam, x))
    ]
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted)
        assert got.any()


def test_one_power_iteration_per_forward() -> None:
    cam = CAM(6, spectral_norm=True)
    x = torch.randn(1, 6, 3, 3)
    logits = cam(x).logits
    assert logits is not None
    weight = cam.classifiers["average"].get_parameter("weight")
    # With one row, sigma is the weight's norm after a single step.
    torch.testing.assert_close(logits[:, :1], F.linear(x.mean((2, 3)), weight / weight.norm()))


def test_state_survives() -> None:
    first, second = CAM(4, spectral_norm=True), CAM(4, spectral_norm=True)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 4, 3, 3)
    for one, other in zip(first(x), second(x), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("pools", [(), ("max", "max"), ("median",)])
def test_pools_are_checked(pools: tuple[str, ...]) -> None:
    message = f"pools: expected 'average', 'max' or both, got {list(pools)}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        CAM(4, pools)  # type: ignore[arg-type]


def test_the_residual_one_starts_as_the_activation_alone() -> None:
    x = torch.randn(2, 3, 5, 4)
    features, logits, heatmap = ResidualCAM(3)(x)
    assert torch.equal(features, nn.functional.leaky_relu(x, 0.2))
    assert logits is not None
    assert heatmap is not None
    assert logits.shape == (2, 1)
    assert torch.allclose(heatmap, features.sum(1, keepdim=True))


def test_the_residual_one_against_its_formula() -> None:
    torch.manual_seed(0)
    attention = ATTENTION("residual_cam")(4, activation=nn.Tanh(), spectral_norm=True)
    assert isinstance(attention, ResidualCAM)
    with torch.no_grad():
        attention.scale.fill_(0.7)
    x = torch.randn(2, 4, 3, 6)
    output = attention(x)
    weight = attention.classifier.weight[0]
    weighted = torch.cat([x, x], 1) * weight[:, None, None]
    assert torch.allclose(output.features, torch.tanh(x + 0.7 * attention.mix(weighted)), atol=1e-6)
    pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
    # The spectral norm of a matrix of one row is the row's norm.
    assert output.logits is not None
    assert torch.allclose(output.logits[:, 0], pooled @ weight / weight.norm(), atol=1e-6)
    (output.features.sum() + output.logits.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in attention.parameters())
