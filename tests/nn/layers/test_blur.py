"""Antialiased halving and doubling against the official layers, and by their own properties."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error

from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.functional.resampling import HALVING, blur_down, blur_kernel
from i2i.nn.layers.convolution import BlurDown, BlurUp, ConvBlock, UpBlock


@pytest.mark.parametrize("sides", ["even", "odd"])
@pytest.mark.parametrize(("name", "layer"), [("down", BlurDown()), ("up", BlurUp())])
def test_official_blur(golden: Path, name: str, layer: torch.nn.Module, sides: str) -> None:
    figures = read(golden / "cut", "blur")
    x = figures.tensor(f"input_{sides}").double().requires_grad_()
    y = layer.double()(x)
    assert relative_error(y, figures[f"{name}/{sides}/out64"]) <= 1e-12
    y.square().sum().backward()
    assert relative_error(x.grad, figures[f"{name}/{sides}/grad64_of_sum_of_squares"]) <= 1e-12


@pytest.mark.parametrize(("layer", "shape"), [(BlurDown(), (3, 5)), (BlurUp(), (10, 18))])
def test_flat_stays_flat(layer: torch.nn.Module, shape: tuple[int, int]) -> None:
    flat = torch.full((2, 4, 5, 9), 0.7)
    torch.testing.assert_close(layer(flat), torch.full((2, 4, *shape), 0.7))
    assert not layer.state_dict()


def test_down_is_a_weighted_mean_of_nine() -> None:
    x = torch.randn(1, 1, 6, 6)
    weights = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    got = blur_down(x, blur_kernel(HALVING))
    assert torch.allclose(got[0, 0, 1, 2], (x[0, 0, 1:4, 3:6] * weights).sum())


def test_blocks_blur_instead_of_striding() -> None:
    relu, norm = ACTIVATION("relu"), NORM("in")
    down = ConvBlock(3, 8, 3, 2, 1, norm=norm, activation=relu, down="blur")
    strided = ConvBlock(3, 8, 3, 2, 1, norm=norm, activation=relu)
    up = UpBlock(8, 4, "blur", True, norm, relu)
    image = torch.randn(1, 3, 12, 16)
    assert down(image).shape == strided(image).shape == (1, 8, 6, 8)
    assert up(down(image)).shape == (1, 4, 12, 16)
    assert [stage.name for stage in down.stages("d")] == ["d.conv", "d.norm", "d.activation", "d.blur"]
    assert [stage.channels for stage in up.stages("u")] == [8, 4, 4, 4]
    assert down.state_dict().keys() == strided.state_dict().keys()  # blurs leave nothing in the state
