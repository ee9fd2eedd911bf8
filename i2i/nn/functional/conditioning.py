"""Conditions of networks, classes or label maps, as planes next to features."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError


def condition_planes(condition: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a condition as planes [B, N, h, w]: a class is constant, a label map is resized.

    Args:
        condition: one-hot classes [B, N], or a one-hot label map [B, N, H, W].
        size: h and w. A map is averaged down, so that planes hold the share of each class, or repeated.

    Raises:
        ShapeError: the condition has another shape.

    Example:
        >>> import torch
        >>> condition_planes(torch.eye(2), (1, 3)).tolist()
        [[[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]], [[[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]]]
    """
    if condition.ndim == 2:
        return condition[:, :, None, None].expand(-1, -1, *size)
    if condition.ndim != 4:
        raise ShapeError(f"expected classes [B, N] or a label map [B, N, H, W], got {list(condition.shape)}")
    return condition if condition.shape[-2:] == size else F.adaptive_avg_pool2d(condition, size)
