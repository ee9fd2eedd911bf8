"""Both generators and the discriminator: sizes, gradients, refused options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from i2i_cartoongan.anime_generator import AnimeGenerator
from i2i_cartoongan.cartoon_generator import CartoonGenerator
from i2i_cartoongan.shallow import Shallow, smallest_image
from torch import nn

from i2i.core.kinds import NORM
from i2i.errors import OptionError, ShapeError


def test_default_parameter_counts_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        counts = [sum(p.numel() for p in model.parameters()) for model in (CartoonGenerator(), AnimeGenerator())]
    assert counts == [11_129_667, 2_143_552]


SMALL: list[nn.Module] = [CartoonGenerator(4, 1), AnimeGenerator(4, 2)]


@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("size", [(16, 16), (32, 20)])
def test_generators_keep_the_size_and_gradients_reach_every_parameter(model: nn.Module, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model.zero_grad()
    image = model(torch.rand(2, 3, *size) * 2 - 1).image
    assert image.shape == (2, 3, *size)
    assert image.abs().max() <= 1
    (image * torch.randn_like(image)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("build", [CartoonGenerator, AnimeGenerator])
def test_bgr_is_the_same_network_with_reversed_channels(build: Any) -> None:
    rgb, bgr = build(4, 1), build(4, 1, channel_order="bgr")
    bgr.load_state_dict(rgb.state_dict())
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(bgr(image.flip(1)).image, rgb(image).image.flip(1))
    assert not torch.allclose(bgr(image).image, rgb(image).image)


def test_legal_image_sizes() -> None:
    assert AnimeGenerator(4, 1)(torch.rand(1, 3, 19, 33)).image.shape == (1, 3, 19, 33)
    with pytest.raises(ShapeError, match="multiples of 4"):
        CartoonGenerator(4, 1)(torch.rand(1, 3, 18, 32))
    with pytest.raises(OptionError, match="try 32 or 36"):
        CartoonGenerator.check(34)
    with pytest.raises(ShapeError, match="at least 8"):
        AnimeGenerator(4, 1)(torch.rand(1, 3, 4, 32))


def test_features_at_taps() -> None:
    model = CartoonGenerator(4, 2)
    taps = ("image", "down.0", "blocks.1", "up.1")
    features = model.features(torch.rand(1, 3, 16, 16), taps)
    assert [tuple(f.shape[1:]) for f in features] == [(3, 22, 22), (8, 8, 8), (16, 4, 4), (4, 16, 16)]
    assert model.tapped_channels(taps) == (3, 8, 16, 4)


def test_the_discriminators_widths_and_sizes() -> None:
    model = Shallow(32)
    convolutions = [(b.conv.in_channels, b.conv.out_channels, b.conv.stride[0], b.norm is None) for b in model.blocks]
    assert convolutions == [
        (3, 32, 1, True),
        (32, 64, 2, True),
        (64, 128, 1, False),
        (128, 128, 2, True),
        (128, 256, 1, False),
        (256, 256, 1, False),
    ]
    assert model(torch.rand(2, 3, 64, 48)).logits["patch"].shape == (2, 1, 12, 8)
    assert Shallow(4, pad_last=True)(torch.rand(1, 3, 64, 48)).logits["patch"].shape == (1, 1, 16, 12)


def test_the_receptive_field_of_a_logit_is_37_pixels() -> None:
    model = Shallow(4, norm=None, padding="zeros")
    image = torch.zeros(1, 3, 80, 80).requires_grad_()
    model(image).logits["patch"][0, 0, 8, 8].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 37


@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("pad_last", [False, True])
def test_the_smallest_image_is_checked_before_building(halvings: int, pad_last: bool) -> None:
    model, smallest = (Shallow(4, halvings, norm=None, pad_last=pad_last), smallest_image(halvings, pad_last))
    assert model(torch.rand(1, 3, smallest, smallest)).logits["patch"].numel() >= 1
    Shallow.check(smallest, halvings, pad_last)
    with pytest.raises(OptionError, match=f"at least {smallest} px, got {smallest - 1} px"):
        Shallow.check(smallest - 1, halvings, pad_last)
    with pytest.raises(ShapeError, match=f"at least {smallest}"):
        model(torch.rand(1, 3, smallest - 1, smallest - 1))
    model.smallest_image = 0
    with pytest.raises(RuntimeError):
        model(torch.rand(1, 3, smallest - 1, smallest - 1))


def test_gradients_reach_every_parameter_of_the_discriminator() -> None:
    model = Shallow(4, norm=NORM("gn", groups=1), spectral_norm=True)
    model(torch.rand(2, 3, 32, 32)).logits["patch"].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
