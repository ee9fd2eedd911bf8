"""Colours as PaintsChainer's networks see them, and the input that they form with lines and hints."""

from __future__ import annotations

import torch
from torch import Tensor

BLANK = (-512.0, 128.0, 128.0)
"""Y, U and V where there is no hint; -512 is far outside the range of colours, which are from 0 to 255."""


def rgb_to_yuv(image: Tensor) -> Tensor:
    """Convert RGB [B, 3, H, W] in [-1, 1] to OpenCV's YUV in [0, 255].

    U and V are clipped, as OpenCV does in 8 bits: pure red and pure green lose a little.

    Example:
        >>> rgb_to_yuv(torch.ones(1, 3, 1, 1)).flatten()
        tensor([255., 128., 128.])
    """
    red, green, blue = ((image + 1) * 127.5).unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([y, 0.492 * (blue - y) + 128, 0.877 * (red - y) + 128], 1).clamp(0, 255)


def yuv_to_rgb(yuv: Tensor) -> Tensor:
    """Convert YUV [B, 3, H, W] to RGB in [-1, 1]; values outside [0, 255] are clipped before and after."""
    y, u, v = yuv.clamp(0, 255).unbind(1)
    red, blue = y + (v - 128) / 0.877, y + (u - 128) / 0.492
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return torch.stack([red, green, blue], 1).clamp(0, 255) / 127.5 - 1


def no_hints(like: Tensor) -> Tensor:
    """Return `BLANK` everywhere, [..., 3, H, W] for a tensor [..., C, H, W] of the same device and dtype."""
    *batch, _, height, width = like.shape
    return like.new_tensor(BLANK).view(3, 1, 1).repeat(*batch, 1, height, width)


def network_input(line: Tensor, hint: Tensor | None = None) -> Tensor:
    """Return the four channels that the first network sees: lines in [0, 255], then the hints.

    Args:
        line: lines [B, 1, H, W] in [-1, 1], dark on white.
        hint: Y, U and V of hints [B, 3, H, W], `BLANK` where there is none; None for no hints at all.
    """
    return torch.cat([(line + 1) * 127.5, no_hints(line) if hint is None else hint.to(line)], 1)


def hints_from_rgba(image: Tensor) -> Tensor:
    """Return hints [B, 3, H, W] from drawn strokes.

    Args:
        image: RGB and opacity [B, 4, H, W] in [-1, 1]; every pixel that is not transparent is a hint.
    """
    return torch.where(image[:, 3:] > -1, rgb_to_yuv(image[:, :3]), no_hints(image))
