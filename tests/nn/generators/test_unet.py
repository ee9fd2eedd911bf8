"""The U-Net: its levels, its skips, dropout and batch statistics."""

from __future__ import annotations

import pytest
import torch

from i2i.core.kinds import ATTENTION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.discriminators.pixel import Pixel
from i2i.nn.generators.unet import Unet, UpsampledConv2d


def test_batch_statistics_at_inference() -> None:
    model = Unet(4, 5, dropout=0.0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.rand(1, 3, 32, 64) * 2 - 1
    generated = model(image).image
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(generated, model.train()(image).image)
    moved = Unet(4, 5, norm=NORM("bn"), dropout=0.0).eval()
    moved.load_state_dict(before)
    assert not torch.allclose(generated, moved(image).image)


def test_dropout_stays_on_where_it_should() -> None:
    image = torch.rand(1, 3, 64, 64)
    noisy = Unet(4, 6, norm=NORM("in")).eval()
    assert [up.dropout is not None for up in noisy.up] == [False, False, False, False, True, False]
    assert not torch.equal(noisy(image).image, noisy(image).image)
    torch.manual_seed(3)
    first = noisy(image).image
    torch.manual_seed(3)
    assert torch.equal(first, noisy(image).image)
    still = Unet(4, 6, norm=NORM("in"), dropout_at_inference=False).eval()
    assert torch.equal(still(image).image, still(image).image)
    assert sum(up.dropout is not None for up in Unet(1, 8).up) == 3
    assert all(up.dropout is None for up in Unet(1, 5).up)


def test_attention_sees_the_level_asked_for() -> None:
    model = Unet(4, 4, norm=NORM("in"), attention=ATTENTION("cam"), attention_level=2, bias=True)
    made = model(torch.rand(2, 3, 32, 32))
    assert made.cam is not None
    assert made.cam.shape == (2, 2)
    assert made.heatmap is not None
    assert made.heatmap.shape == (2, 1, 8, 8)
    (made.image.square().mean() + made.cam.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(OptionError, match="expected a level from 1 to 4, got 5"):
        Unet(4, 4, attention=ATTENTION("cam"), attention_level=5)


def test_sizes() -> None:
    with pytest.raises(ShapeError, match=r"sides that are multiples of 32, got \[1, 3, 48, 32\]"):
        Unet(2, 5)(torch.rand(1, 3, 48, 32))
    with pytest.raises(
        OptionError, match="8 levels need images whose sides are multiples of 256, got 96 px; at most 5"
    ):
        Unet.check(96, 8)
    with pytest.raises(ShapeError, match=r"expected images \[B, 6, H, W\]"):
        Pixel(4, 6)(torch.rand(1, 3, 8, 8))


def test_a_residual_network_begins_near_the_identity_and_stays_in_range() -> None:
    torch.manual_seed(0)
    network = Unet(channels=4, levels=2, norm=NORM("in"), dropout=0, residual=True, upsample="nearest")
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    image[0] = 1
    generated = network(image).image
    assert float((generated - image).abs().mean()) < 0.1
    assert float(generated.abs().max()) < 1
    generated.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
    with pytest.raises(OptionError, match="expected as many channels out as in, got 3 and 1"):
        Unet(residual=True, out_channels=1)


def test_nearest_upsampling_repeats_pixels_before_a_convolution() -> None:
    layer = UpsampledConv2d(2, 3, 3, padding=1)
    x = torch.rand(1, 2, 5, 4)
    repeated = torch.nn.functional.pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3), (1, 1, 1, 1), mode="reflect")
    expected = torch.nn.functional.conv2d(repeated, layer.weight, layer.bias)
    assert torch.allclose(layer(x), expected, atol=1e-6)
