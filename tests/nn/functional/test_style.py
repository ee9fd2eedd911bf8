"""Gram matrices, means and deviations, AdaIN and total variation, against independent statements of the formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from i2i.errors import ShapeError
from i2i.nn.functional.style import adain, gram, mean_std, total_variation


def features(batch: int = 2, channels: int = 3, height: int = 5, width: int = 4, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=draws, dtype=torch.float64) * 2 + 1


def test_gram_is_the_sum_over_pixels_of_products_of_channels() -> None:
    x = features()
    torch.testing.assert_close(gram(x), torch.einsum("bihw,bjhw->bij", x, x) / (3 * 5 * 4))


def test_gram_and_statistics_do_not_know_where_pixels_are() -> None:
    x = features()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = x.flatten(2)[:, :, order].reshape(x.shape)
    torch.testing.assert_close(gram(shuffled), gram(x))
    for one, other in zip(mean_std(shuffled), mean_std(x), strict=True):
        torch.testing.assert_close(one, other)


def test_statistics_are_unbiased() -> None:
    x = features()
    mean, std = mean_std(x)
    torch.testing.assert_close(mean, x.mean((2, 3)))
    torch.testing.assert_close(std, (x.var((2, 3), unbiased=True) + 1e-5).sqrt())


def test_a_map_of_one_pixel_has_no_style() -> None:
    with pytest.raises(ShapeError, match=r"mean_std: expected maps of more than one pixel, got \[1, 3, 1, 1\]"):
        mean_std(torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("styles", [1, 2])
def test_adain_gives_the_styles_statistics_to_the_content(styles: int) -> None:
    content, style = features(), 5 * features(styles, 3, 7, 6, seed=2) - 3
    made = adain(content, style)
    for got, wanted in zip(mean_std(made), mean_std(style), strict=True):
        torch.testing.assert_close(got, wanted.expand(2, -1), rtol=1e-4, atol=1e-4)
    centred = content - content.mean((2, 3), keepdim=True)
    similar = torch.cosine_similarity((made - made.mean((2, 3), keepdim=True)).flatten(2), centred.flatten(2), dim=2)
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
