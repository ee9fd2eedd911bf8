"""Heat maps in the colours of the U-GAT-IT paper, without OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from i2i.nn.functional.precision import upcast


@torch.no_grad()
def draw_heatmap(heatmap: Tensor, size: int | Sequence[int]) -> Tensor:
    """Colour heat maps from blue (the minimum of each map) to red (its maximum).

    Each map is rescaled to 0..255 by itself, truncated to 8 bits, enlarged and coloured; bit-identical to OpenCV's
    `resize` and `COLORMAP_JET`.

    Args:
        heatmap: [B, 1, h, w], any range; a constant map, which the official code turns into NaN, is all blue.
        size: height and width (H, W) of the result in pixels, or one number for both.

    Returns:
        [B, 3, H, W] RGB in [-1, 1], float32.

    Source: znxlwm/UGATIT-pytorch b8c4251, `utils.cam` (which returns BGR in [0, 1]).

    Example:
        >>> drawn = draw_heatmap(torch.rand(2, 1, 8, 8), 32)
        >>> drawn.shape, bool(drawn.abs().max() <= 1)
        (torch.Size([2, 3, 32, 32]), True)
    """
    height, width = (size, size) if isinstance(size, int) else size
    levels = _enlarged(_levels(heatmap), height, width)
    colours = jet().to(heatmap.device)[levels.squeeze(1).long()]
    return colours.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def jet() -> Tensor:
    """Return OpenCV's `COLORMAP_JET`: [256, 3] RGB levels 0..255.

    Three trapezoids of slope 4 around indices 64 (blue), 127 (green) and 191 (red).

    Example:
        >>> jet()[[0, 127, 255]]
        tensor([[  0,   0, 128],
                [126, 255, 130],
                [128,   0,   0]])
    """
    index = torch.arange(256)
    red = torch.minimum(4 * index - 382, 1148 - 4 * index)
    green = torch.minimum(4 * index - 128, 892 - 4 * index)
    table = torch.stack((red, green, red.flip(0)), 1).clamp(0, 255)
    table[159, 2] = 1  # OpenCV's table rounds this one value down
    return table


def _levels(heatmap: Tensor) -> Tensor:
    """Rescale each map to 0..255 and truncate to integers."""
    x = upcast(heatmap).nan_to_num()
    x = x - x.amin((1, 2, 3), keepdim=True)
    largest = x.amax((1, 2, 3), keepdim=True)
    return (255 * (x / torch.where(largest > 0, largest, torch.ones_like(largest)))).int()


def _enlarged(levels: Tensor, height: int, width: int) -> Tensor:
    """Interpolate bilinearly with half-pixel centres in the fixed-point arithmetic of OpenCV's 8-bit `resize`."""
    rows, below, row_share = _neighbours(levels.shape[2], height, levels.device)
    columns, right, column_share = _neighbours(levels.shape[3], width, levels.device)
    across = levels[..., columns] * (2048 - column_share) + levels[..., right] * column_share
    # Both terms are truncated before the addition; beyond the first and last rows both come from the same row.
    across = across >> 4
    upper = (across[:, :, rows] * (2048 - row_share)[:, None]) >> 16
    lower = (across[:, :, below] * row_share[:, None]) >> 16
    return (upper + lower + 2) >> 2


def _neighbours(before: int, after: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each new position, the two old ones around it and the weight of the second in 2048ths."""
    # In double precision as in OpenCV, and on the CPU, as not every device has doubles.
    centre = ((torch.arange(after, dtype=torch.float64) + 0.5) * (before / after) - 0.5).float()
    first = centre.floor()
    share = ((centre - first) * 2048).round().int()
    left = first.long()
    bounds = (0, before - 1)
    return left.clamp(*bounds).to(device), (left + 1).clamp(*bounds).to(device), share.to(device)
