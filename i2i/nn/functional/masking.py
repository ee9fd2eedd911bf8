"""Means of the values of a loss, weighted by a mask."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError

Reduction = Literal["mean", "none"]
"""What a loss returns: the mean of its values, or a value for each pixel, which a mask can weight."""


def reduced(values: Tensor, reduction: Reduction) -> Tensor:
    """Return the mean of values, or the values themselves."""
    return values.mean() if reduction == "mean" else values


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    r"""Average values weighted by a mask, :math:`\mathbb{E}[m\, v]`.

    A mask of ones changes nothing, and two masks whose sum is one give two terms whose sum is the unweighted mean.

    Args:
        values: [B, C, h, w] or [B, h, w].
        mask: [B, 1, H, W], in [0, 1]; averaged down, or repeated, to h and w.

    Raises:
        ShapeError: the values have no place in the images.

    Example:
        >>> import torch
        >>> masked_mean(torch.ones(1, 3, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]))
        tensor(0.2500)
    """
    if values.ndim not in (3, 4) or values.shape[0] != mask.shape[0]:
        expected = f"expected a value for every pixel, [{mask.shape[0]}, C, h, w]"
        raise ShapeError(f"{expected}, to be weighted by a mask {list(mask.shape)}, got {list(values.shape)}")
    weight = mask.to(values.dtype)
    if weight.shape[-2:] != values.shape[-2:]:
        weight = F.adaptive_avg_pool2d(weight, (values.shape[-2], values.shape[-1]))
    return (values * (weight if values.ndim == 4 else weight[:, 0])).mean()
