"""Feature statistics, AdaIN, total variation and colours, against independent statements of the formulas."""

from __future__ import annotations

import pytest
import torch
from i2i_style.functional import adain, match_color, mean_std, total_variation, transfer_luminance
from torch import Tensor

from i2i.errors import ShapeError


def features(batch: int = 2, channels: int = 3, height: int = 5, width: int = 4, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=draws, dtype=torch.float64) * 2 + 1


def test_statistics_do_not_depend_on_the_order_of_pixels() -> None:
    x = features()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = x.flatten(2)[:, :, order].reshape(x.shape)
    for value, expected in zip(mean_std(shuffled), mean_std(x), strict=True):
        torch.testing.assert_close(value, expected)


def test_statistics_are_unbiased() -> None:
    x = features()
    mean, std = mean_std(x)
    torch.testing.assert_close(mean, x.mean((2, 3)))
    torch.testing.assert_close(std, (x.var((2, 3), unbiased=True) + 1e-5).sqrt())


def test_maps_of_one_pixel_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"mean_std: expected maps of more than one pixel, got \[1, 3, 1, 1\]"):
        mean_std(torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("styles", [1, 2])
def test_adain_gives_the_styles_statistics_to_the_content(styles: int) -> None:
    content, style = features(), 5 * features(styles, 3, 7, 6, seed=2) - 3
    result = adain(content, style)
    for value, expected in zip(mean_std(result), mean_std(style), strict=True):
        torch.testing.assert_close(value, expected.expand(2, -1), rtol=1e-4, atol=1e-4)
    centred = content - content.mean((2, 3), keepdim=True)
    similar = torch.cosine_similarity(
        (result - result.mean((2, 3), keepdim=True)).flatten(2), centred.flatten(2), dim=2
    )
    torch.testing.assert_close(similar, torch.ones_like(similar))


def test_adain_with_its_own_statistics_changes_nothing() -> None:
    x = features()
    torch.testing.assert_close(adain(x, x), x)


@pytest.mark.parametrize("power", [1, 2])
def test_total_variation_counts_each_pair_of_neighbours_once(power: int) -> None:
    x = features(1, 1)
    down = [abs(float(x[0, 0, i + 1, j] - x[0, 0, i, j])) ** power for i in range(4) for j in range(4)]
    right = [abs(float(x[0, 0, i, j + 1] - x[0, 0, i, j])) ** power for i in range(5) for j in range(3)]
    expected = sum(down) / len(down) + sum(right) / len(right)
    assert float(total_variation(x, power)) == pytest.approx(expected)


YUV = torch.tensor([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


def image(seed: int, count: int = 2, scale: float = 0.5) -> Tensor:
    return torch.randn(count, 3, 8, 6, generator=torch.Generator().manual_seed(seed)) * scale


def test_transfer_luminance_keeps_the_chrominance() -> None:
    generated, content = image(0), image(1)
    result = transfer_luminance(generated, content)

    def yuv(x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", YUV, x)

    torch.testing.assert_close(yuv(result)[:, 0], yuv(generated)[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(yuv(result)[:, 1:], yuv(content)[:, 1:], rtol=1e-4, atol=1e-4)


def covariance(x: Tensor) -> Tensor:
    return torch.stack([torch.cov(sample.flatten(1)) for sample in x])


def test_match_color_transfers_mean_and_covariance() -> None:
    mix = torch.tensor([[1.0, 0.5, 0.2], [0.0, 0.7, 0.3], [0.1, 0.0, 0.4]])
    style, content = image(0, 1), torch.einsum("ij,bjhw->bihw", mix, image(1)) + 0.2
    result = match_color(style, content)
    assert result.shape == (2, 3, 8, 6)
    torch.testing.assert_close(result.mean((2, 3)), content.mean((2, 3)))
    torch.testing.assert_close(covariance(result), covariance(content), rtol=1e-3, atol=1e-4)


def test_match_color_keeps_own_colours_and_accepts_uniform_images() -> None:
    style = image(0)
    torch.testing.assert_close(match_color(style, style), style, rtol=1e-4, atol=1e-4)
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert match_color(flat, style).isfinite().all()
    torch.testing.assert_close(match_color(style[:1], flat).mean((2, 3)), flat.mean((2, 3)))
