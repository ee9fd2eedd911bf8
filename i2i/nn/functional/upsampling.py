"""Nearest upsampling and the convolution after it, in one operation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.optimizations import optimizations_enabled


def upsample_and_convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Repeats each pixel in both directions, mirrors one pixel around it, and convolves 3x3.

    Each output pixel of the 3x3 window on repeated pixels sees 2x2 different ones, so the same is a transposed
    convolution of stride 2 with a 4x4 kernel on the small map, at 16 of 36 multiplications: along each axis, weights
    :math:`(w_0, w_1, w_2)` become :math:`(w_2, w_1 + w_2, w_0 + w_1, w_0)`. A mirrored border of repeated pixels is a
    repeated border of the small map.

    Args:
        x: [B, C, H, W].
        weight: [C', C, 3, 3].
        bias: [C'] or None.

    Returns:
        [B, C', 2·H, 2·W].

    Source: Shi et al., Is the deconvolution layer the same as a convolutional layer?, arXiv:1609.07009.

    Example:
        >>> x, weight = torch.randn(1, 2, 4, 5), torch.randn(3, 2, 3, 3)
        >>> one = upsample_and_convolve(x, weight)
        >>> with shortcuts.plainly():
        ...     other = upsample_and_convolve(x, weight)
        >>> torch.allclose(one, other, atol=1e-5)
        True
    """
    if not optimizations_enabled():
        repeated = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.conv2d(F.pad(repeated, (1, 1, 1, 1), mode="reflect"), weight, bias)
    kernel = _spread(_spread(weight, 2), 3).transpose(0, 1)
    return F.conv_transpose2d(repeat_border(x), kernel, bias, stride=2, padding=3)


def repeat_border(x: Tensor) -> Tensor:
    """One pixel more on each side [B, C, H + 2, W + 2], those of the border repeated."""
    if not torch.compiler.is_compiling():
        return F.pad(x, (1, 1, 1, 1), mode="replicate")
    # torch 2.15's compiler takes the memory layout of that pad's gradient for another one, and stops.
    tall = torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2)
    return torch.cat((tall[..., :1], tall, tall[..., -1:]), 3)


def _spread(weight: Tensor, axis: int) -> Tensor:
    """Three weights along an axis as four."""
    first, second, third = weight.unbind(axis)
    return torch.stack((third, second + third, first + second, first), axis)
