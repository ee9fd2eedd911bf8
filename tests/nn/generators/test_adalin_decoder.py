"""The decoder-only generator: its sizes and refusals, and its upsampling in other generators."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from i2i.core.kinds import ADAPTIVE_NORM, DECODER, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.generators.adalin_decoder import AdaLINDecoder
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN


@pytest.mark.parametrize("upsample", ["pixel_shuffle", "nearest", "transposed"])
def test_shapes_gradients_and_state(upsample: Any) -> None:
    torch.manual_seed(0)
    model = AdaLINDecoder(6, 4, 1, light=True, upsample=upsample, init="orthogonal")
    for shape in ((1, 6, 2, 2), (2, 6, 4, 3)):
        image = model(torch.randn(shape)).image
        assert image.shape == (shape[0], 3, 4 * shape[2], 4 * shape[3])
    (image * torch.randn_like(image)).sum().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    again = AdaLINDecoder(6, 4, 1, light=True, upsample=upsample)
    again.load_state_dict(model.state_dict())
    features = torch.randn(1, 6, 3, 3)
    assert torch.equal(model(features).image, again(features).image)


def test_official_sizes() -> None:
    with torch.device("meta"):
        light, full = AdaLINDecoder(128, light=True), AdaLINDecoder(128, image_size=256)
    assert sum(parameter.numel() for parameter in light.parameters()) == 8_104_640
    assert round(sum(parameter.numel() for parameter in full.parameters()) / 1e6, 1) == 276.5


def test_refusals() -> None:
    full = AdaLINDecoder(6, 4, 1, image_size=16)
    with pytest.raises(ShapeError, match=r"^decoder: expected features \[B, 6, H, W\], got \[1, 3, 4, 4\]$"):
        full(torch.zeros(1, 3, 4, 4))
    message = (
        "decoder: expected features of 4 x 4 for images of 16 px, the size it was built for, got 4 x 8; only "
        "light = true takes any size"
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        full(torch.zeros(1, 6, 4, 8))
    with pytest.raises(OptionError, match="which the full generator needs"):
        DECODER("adalin_decoder")(6)
    with pytest.raises(OptionError, match="expected a multiple of 4"):
        AdaLINDecoder.check(30)


@pytest.mark.parametrize("upsample", ["pixel_shuffle", "transposed"])
def test_ugatit_with_softmax_mixture_and_other_upsampling(upsample: Any) -> None:
    model = ResnetAdaLIN(
        4,
        1,
        light=True,
        decoder_norm=ADAPTIVE_NORM("adalin", mix="softmax"),
        upsample_norm=NORM("iln", mix="softmax"),
        upsample=upsample,
        init="orthogonal",
    )
    made = model(torch.rand(2, 3, 16, 12))
    assert made.image.shape == (2, 3, 16, 12)
    sum((output * torch.randn_like(output)).sum() for output in made).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
