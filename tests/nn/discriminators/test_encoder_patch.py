"""The discriminator that encodes: legal sizes."""

from __future__ import annotations

import re

import pytest
import torch

from i2i.errors import OptionError, ShapeError
from i2i.nn.discriminators.encoder_patch import EncoderPatch


def test_official_size() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in EncoderPatch().parameters()) == 46_874_433


@pytest.mark.parametrize(("layers", "deeper"), [(7, 2), (6, 2), (5, 1), (6, 1), (4, 0), (5, 0)])
def test_smallest_image_by_brute_force(layers: int, deeper: int) -> None:
    model = EncoderPatch(1, layers, deeper).eval()
    smallest = model.smallest_image
    assert smallest == 3 * 2 ** (layers - 2)
    output = model(torch.zeros(1, 3, smallest, smallest))
    assert output.logits.keys() == {"local", "cam"} | ({"global"} if deeper else set())
    assert all(logits.numel() for logits in output.logits.values())
    assert output.code is not None
    assert output.code.shape == (1, 2, smallest // 4, smallest // 4)
    EncoderPatch.check(smallest, layers, deeper)
    model.smallest_image = 0  # let the convolutions speak
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, smallest - 4, smallest - 4))


@pytest.mark.parametrize(
    ("size", "layers", "deeper", "message"),
    [
        (64, 7, 2, "layers: 7 layers need images of at least 96 px, got 64 px; layers = 6 works at 64 px"),
        (
            32,
            7,
            2,
            "layers: 7 layers need images of at least 96 px, got 32 px; layers = 5 with deeper = 1 works at 32 px",
        ),
        (8, 4, 0, "layers: 4 layers need images of at least 12 px, got 8 px; nothing works at 8 px"),
        (256, 5, 2, "layers: expected at least 6 with deeper = 2, got 5"),
        (98, 7, 2, "image_size: expected a multiple of 4, got 98"),
    ],
)
def test_check(size: int, layers: int, deeper: int, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        EncoderPatch.check(size, layers, deeper)


def test_wrong_images() -> None:
    model = EncoderPatch(1, 5, 1)
    assert model.encode(torch.zeros(1, 3, 8, 12)).features.shape == (1, 2, 2, 3)  # codes need no heads
    message = "encoder_patch: expected images with sides of at least 24, got [1, 3, 8, 12]"
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        model(torch.zeros(1, 3, 8, 12))
    message = (
        "encoder: expected images [B, 3, H, W] with sides that are multiples of 4 and at least 8, got [1, 3, 10, 12]"
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        model.encode(torch.zeros(1, 3, 10, 12))


def test_without_attention_and_spectral_norm() -> None:
    output = EncoderPatch(2, 5, 1, spectral_norm=False, attention=None)(torch.randn(2, 3, 32, 32))
    assert output.logits.keys() == {"local", "global"}
    assert output.heatmap is None
    sum((logits * torch.randn_like(logits)).sum() for logits in output.logits.values()).backward()
