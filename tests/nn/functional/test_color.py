"""Colours kept: luminance exchanged, or mean and covariance carried over."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.nn.functional.color import luminance, recolored, with_colors_of

YUV = torch.tensor([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


def image(seed: int, count: int = 2, scale: float = 0.5) -> Tensor:
    return torch.randn(count, 3, 8, 6, generator=torch.Generator().manual_seed(seed)) * scale


def test_only_the_luminance_changes() -> None:
    generated, content = image(0), image(1)
    made = with_colors_of(generated, content)

    def yuv(x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", YUV, x)

    torch.testing.assert_close(yuv(made)[:, 0], yuv(generated)[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(yuv(made)[:, 1:], yuv(content)[:, 1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(luminance(made)[:, 0], yuv(generated)[:, 0], rtol=1e-4, atol=1e-4)


def covariance(x: Tensor) -> Tensor:
    return torch.stack([torch.cov(one.flatten(1)) for one in x])


def test_mean_and_covariance_are_carried_over() -> None:
    mix = torch.tensor([[1.0, 0.5, 0.2], [0.0, 0.7, 0.3], [0.1, 0.0, 0.4]])
    style, content = image(0, 1), torch.einsum("ij,bjhw->bihw", mix, image(1)) + 0.2
    made = recolored(style, content)
    assert made.shape == (2, 3, 8, 6)
    torch.testing.assert_close(made.mean((2, 3)), content.mean((2, 3)))
    torch.testing.assert_close(covariance(made), covariance(content), rtol=1e-3, atol=1e-4)


def test_own_colours_change_nothing_and_flat_ones_are_no_trouble() -> None:
    style = image(0)
    torch.testing.assert_close(recolored(style, style), style, rtol=1e-4, atol=1e-4)
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert recolored(flat, style).isfinite().all()
    torch.testing.assert_close(recolored(style[:1], flat).mean((2, 3)), flat.mean((2, 3)))
