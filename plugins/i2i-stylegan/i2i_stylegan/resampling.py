"""Resampling with a finite impulse response filter: insert zeros, pad, filter, and keep every n-th pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Padding = tuple[int, int, int, int]
"""Pixels that are added left, right, above and below; negative numbers crop."""
SEPARABLE_TAPS = 8
"""Filters with at least as many taps stay one-dimensional and are applied along each axis."""


def make_filter(taps: Sequence[float]) -> Tensor:
    """Return a filter normalized to sum 1: [k, k], or [k] with at least 8 taps.

    Args:
        taps: of one axis.

    Example:
        >>> make_filter([1, 1])
        tensor([[0.2500, 0.2500],
                [0.2500, 0.2500]])
    """
    row = torch.tensor(taps, dtype=torch.float32)
    kernel = row if len(taps) >= SEPARABLE_TAPS else torch.outer(row, row)
    return kernel / kernel.sum()


def upfirdn(
    x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, padding: Padding = (0, 0, 0, 0), flip: bool = False
) -> Tensor:
    """Insert zeros between pixels, pad with zeros, convolve each channel, and keep every n-th pixel.

    Upsampling keeps the brightness: the filter is multiplied by up².

    Args:
        x: features [B, C, H, W].
        kernel: filter [k, k], or [k] for both axes.
        up: factor of upsampling.
        down: factor of downsampling.
        padding: zeros added left, right, above and below, after upsampling.
        flip: correlate with the filter instead of convolving.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, appendix B.
    """
    batch, channels, height, width = x.shape
    if up > 1:
        x = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(batch, channels, height * up, width * up)
    x = F.pad(x, padding)
    kernel = kernel.to(x.dtype) * up**kernel.ndim
    kernel = kernel if flip else kernel.flip(list(range(kernel.ndim)))
    weights = [kernel[None, None]] if kernel.ndim == 2 else [kernel[None, None, None, :], kernel[None, None, :, None]]
    for weight in weights:
        x = F.conv2d(x, weight.expand(channels, 1, -1, -1), groups=channels)
    return x[:, :, ::down, ::down] if down > 1 else x


def upsample(x: Tensor, kernel: Tensor, padding: Padding = (0, 0, 0, 0), flip: bool = False) -> Tensor:
    """Double the sides: [B, C, H, W] to [B, C, 2 H, 2 W], plus what `padding` adds."""
    return upfirdn(x, kernel, up=2, padding=_plus(padding, resize_padding(kernel, up=2)), flip=flip)


def downsample(x: Tensor, kernel: Tensor, padding: Padding = (0, 0, 0, 0), flip: bool = False) -> Tensor:
    """Halve the sides: [B, C, H, W] to [B, C, H / 2, W / 2]."""
    return upfirdn(x, kernel, down=2, padding=_plus(padding, resize_padding(kernel, down=2)), flip=flip)


def smooth(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter and keep the sides: [B, C, H, W] to [B, C, H, W]."""
    return upfirdn(x, kernel, padding=resize_padding(kernel))


def resize_padding(kernel: Tensor, up: int = 1, down: int = 1) -> Padding:
    """Return the padding with which a filter changes the sides by exactly the factor."""
    taps = kernel.shape[-1]
    if up > 1:
        before, after = (taps + up - 1) // 2, (taps - up) // 2
    elif down > 1:
        before, after = (taps - down + 1) // 2, (taps - down) // 2
    else:
        before, after = taps // 2, (taps - 1) // 2
    return before, after, before, after


def resampled_conv(
    x: Tensor, weight: Tensor, kernel: Tensor | None = None, up: int = 1, down: int = 1, padding: int = 0
) -> Tensor:
    """Convolve, and double or halve the sides on the way with a filter.

    Upsampling is a transposed convolution of stride 2 followed by the filter; downsampling is the filter followed by a
    convolution of stride 2. A 1x1 convolution is computed at the smaller of both sizes.

    Args:
        x: features [B, C, H, W].
        weight: [C', C, k, k].
        kernel: filter; may be None without resampling.
        up: 1 or 2.
        down: 1 or 2; at most one of both is 2.
        padding: zeros on each side of the convolution.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, appendix B.
    """
    if kernel is None or (up == 1 and down == 1):
        return F.conv2d(x, weight, padding=padding)
    size = weight.shape[-1]
    around = resize_padding(kernel, up, down)
    if up == 1:
        pads = _plus(around, (padding,) * 4)
        if size == 1:
            return F.conv2d(upfirdn(x, kernel, down=down, padding=pads), weight)
        return F.conv2d(upfirdn(x, kernel, padding=pads), weight, stride=down)
    if size == 1:
        return upfirdn(F.conv2d(x, weight), kernel, up=up, padding=_plus(around, (padding,) * 4))
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=up)
    before, after = around[0] + padding - (size - 1), around[1] + padding - (size - up)
    return upfirdn(x, kernel * up**kernel.ndim, padding=(before, after, before, after))


def _plus(first: Padding, second: Padding) -> Padding:
    left, right, above, below = (a + b for a, b in zip(first, second, strict=True))
    return left, right, above, below
