"""Gram matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.nn.functional.gram import gram


def features(batch: int = 2, channels: int = 3, height: int = 5, width: int = 4, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=draws, dtype=torch.float64) * 2 + 1


def test_gram_is_the_sum_over_pixels_of_products_of_channels() -> None:
    x = features()
    torch.testing.assert_close(gram(x), torch.einsum("bihw,bjhw->bij", x, x) / (3 * 5 * 4))


def test_gram_does_not_depend_on_the_order_of_pixels() -> None:
    x = features()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = x.flatten(2)[:, :, order].reshape(x.shape)
    torch.testing.assert_close(gram(shuffled), gram(x))
