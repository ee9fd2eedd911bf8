"""Spectral layers against torch's legacy hook, and two forwards before one backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from i2i.nn.layers.spectral import SpectralConv2d, SpectralLinear


def pair(kind: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """Ours and torch's with the same weights and vectors, and an input."""
    ours: nn.Module
    if kind == "conv":
        ours, theirs = (
            SpectralConv2d(3, 5, 4, stride=2, padding=1, padding_mode="reflect"),
            nn.Conv2d(3, 5, 4, stride=2, padding=1, padding_mode="reflect"),
        )
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    else:
        ours, theirs = SpectralLinear(6, 4), nn.Linear(6, 4)
        x = torch.randn(2, 6, dtype=torch.float64)
    hooked = spectral_norm(theirs).double()
    names = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v", "bias": "bias"}
    ours.double().load_state_dict({names[name]: value for name, value in hooked.state_dict().items()})
    return ours, hooked, x


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_equals_the_legacy_hook(kind: str) -> None:
    ours, theirs, x = pair(kind)
    for module in (ours, theirs):
        real, fake = module(x), module(2 * x + 1)
        (real.square().sum() - fake.square().sum()).backward()
    torch.testing.assert_close(ours.get_parameter("weight").grad, theirs.get_parameter("weight_orig").grad)
    torch.testing.assert_close(ours.get_buffer("u"), theirs.get_buffer("weight_u"))
    torch.testing.assert_close(ours.get_buffer("v"), theirs.get_buffer("weight_v"))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_eval_takes_no_power_iteration(kind: str) -> None:
    ours, _, x = pair(kind)
    before = ours.get_buffer("u").clone()
    output = ours.eval()(x)
    assert torch.equal(ours.get_buffer("u"), before)
    ours.train()(x)
    assert not torch.equal(ours.get_buffer("u"), before)
    output.sum().backward()  # buffers moved since; the graph of the eval forward must not notice
    assert ours.get_parameter("weight").grad is not None


def test_state_names() -> None:
    assert set(SpectralConv2d(3, 4, 3).state_dict()) == {"weight", "bias", "u", "v"}
    assert set(SpectralLinear(3, 1, bias=False).state_dict()) == {"weight", "u", "v"}
