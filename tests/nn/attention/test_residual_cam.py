"""The residual class activation map: where it starts, and an independent statement of its formula."""

from __future__ import annotations

import torch
from torch import nn

from i2i.core.kinds import ATTENTION
from i2i.nn.attention.residual_cam import ResidualCAM


def test_starts_as_the_activation_alone() -> None:
    x = torch.randn(2, 3, 5, 4)
    features, logits, heatmap = ResidualCAM(3)(x)
    assert torch.equal(features, nn.functional.leaky_relu(x, 0.2))
    assert logits is not None
    assert heatmap is not None
    assert logits.shape == (2, 1)
    assert torch.allclose(heatmap, features.sum(1, keepdim=True))


def test_formula_and_gradients() -> None:
    torch.manual_seed(0)
    attention = ATTENTION("residual_cam")(4, activation=nn.Tanh(), spectral_norm=True)
    assert isinstance(attention, ResidualCAM)
    with torch.no_grad():
        attention.scale.fill_(0.7)
    x = torch.randn(2, 4, 3, 6)
    made = attention(x)
    weight = attention.classifier.weight[0]
    weighted = torch.cat([x, x], 1) * weight[:, None, None]
    assert torch.allclose(made.features, torch.tanh(x + 0.7 * attention.mix(weighted)), atol=1e-6)
    pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
    # A matrix of one row has its own length as its spectral norm.
    assert made.logits is not None
    assert torch.allclose(made.logits[:, 0], pooled @ weight / weight.norm(), atol=1e-6)
    (made.features.sum() + made.logits.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in attention.parameters())
