"""DiffAugment's transformations: differentiable, each sample with random numbers of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def adjust_color(image: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    r"""Change brightness, then saturation, then contrast.

    .. math:: x_1 = x + (b - \tfrac12), \quad x_2 = m_C(x_1) + 2 s\,(x_1 - m_C(x_1)), \quad
        x_3 = m(x_2) + (c + \tfrac12)(x_2 - m(x_2))

    with the mean over channels :math:`m_C` and over a whole image m. Values may leave the range of the image.

    Args:
        image: [B, C, H, W].
        brightness: b in [0, 1), [B, 1, 1, 1].
        saturation: s in [0, 1), [B, 1, 1, 1].
        contrast: c in [0, 1), [B, 1, 1, 1].

    Source: Zhao et al., NeurIPS 2020, arXiv:2006.10738, section 3.2; mit-han-lab/data-efficient-gans 0b63395.

    Example:
        >>> half = torch.full((1, 1, 1, 1), 0.5)
        >>> adjust_color(torch.tensor([[[[0.25]], [[0.75]]]]), half, half, half).flatten()
        tensor([0.2500, 0.7500])
    """
    x = image + (brightness - 0.5)
    gray = x.mean(1, keepdim=True)
    x = (x - gray) * (2 * saturation) + gray
    level = x.mean((1, 2, 3), keepdim=True)
    return (x - level) * (contrast + 0.5) + level


def shift(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    r"""Shift each image by whole pixels, :math:`y_{ij} = x_{i + r,\, j + c}`; zeros come in from outside.

    Args:
        image: [B, C, H, W].
        rows: r, integers of B elements.
        columns: c, integers of B elements.

    Source: as `adjust_color`.

    Example:
        >>> shift(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([0]), torch.tensor([1])).flatten()
        tensor([2., 3., 0.])
    """
    height, width = image.shape[2:]
    row, inside_rows = _shifted(rows, height)
    column, inside_columns = _shifted(columns, width)
    sample = torch.arange(len(image), device=image.device)[:, None, None]
    moved = image.permute(0, 2, 3, 1)[sample, row[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)
    return moved * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def cut_out(image: Tensor, rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """Set a box of each image to 0; what lies outside the image is cut off.

    Args:
        image: [B, C, H, W].
        rows: row of each box's centre, integers of B elements: the box begins `size[0] // 2` rows above.
        columns: column of each box's centre, integers of B elements.
        size: height and width of the boxes in pixels.

    Source: as `adjust_color`; DeVries and Taylor, arXiv:1708.04552.

    Example:
        >>> cut_out(torch.ones(1, 1, 1, 4), torch.tensor([0]), torch.tensor([3]), (1, 2)).flatten()
        tensor([1., 1., 0., 0.])
    """
    inside = [
        _between(centre.reshape(-1, 1) - length // 2, length, side)
        for centre, length, side in zip((rows, columns), size, image.shape[2:], strict=True)
    ]
    return image * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


def _shifted(offset: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the index [B, side] of each pixel after a shift, clamped, and whether it was inside."""
    index = torch.arange(side, device=offset.device) + offset.reshape(-1, 1)
    return index.clamp(0, side - 1), (index >= 0) & (index < side)


def _between(start: Tensor, length: int, side: int) -> Tensor:
    """Return which of `side` pixels are among the `length` ones from `start` [B, 1] on."""
    index = torch.arange(side, device=start.device)
    return (index >= start) & (index < start + length)
