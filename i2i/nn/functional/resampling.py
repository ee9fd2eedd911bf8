"""Doubling and halving the size of features: antialiased by a filter, or by nearest upsampling and a convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.padding import pad

HALVING = (1, 2, 1)
DOUBLING = (1, 3, 3, 1)
BLUR_PADDING = 1
"""Pixels on each side that halving needs."""


def blur_kernel(weights: Sequence[int]) -> Tensor:
    """Return the separable filter [k, k] of a row of k weights, normalized to sum 1.

    Example:
        >>> blur_kernel((1, 1))
        tensor([[0.2500, 0.2500],
                [0.2500, 0.2500]])
    """
    row = torch.tensor(weights, dtype=torch.float32)
    return torch.outer(row, row) / row.sum() ** 2


def blur(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Filter every channel: [B, C, H, W] to [B, C, H + 2·padding - k + 1, W + 2·padding - k + 1].

    Args:
        x: features [B, C, H, W].
        kernel: [k, k], such as `blur_kernel(DOUBLING)`.
        padding: zeros added on each side.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, which filters at each resizing.
    """
    channels = x.shape[1]
    return F.conv2d(x, kernel.to(x.dtype).expand(channels, 1, -1, -1), padding=padding, groups=channels)


def blur_down(x: Tensor, kernel: Tensor, padded: bool = False) -> Tensor:
    """Filter, then take every second pixel: [B, C, H, W] to [B, C, ceil(H / 2), ceil(W / 2)].

    Args:
        x: features [B, C, H, W]; the border is reflected.
        kernel: `blur_kernel(HALVING)`, [3, 3].
        padded: whether `x` has its border, of `BLUR_PADDING` pixels, already.

    Source: Zhang, ICML 2019, arXiv:1904.11486, section 3.2.
    """
    channels = x.shape[1]
    x = x if padded else pad(x, (BLUR_PADDING,) * 4)
    return F.conv2d(x, kernel.expand(channels, 1, -1, -1), stride=2, groups=channels)


def blur_up(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the sides by interpolation: [B, C, H, W] to [B, C, 2·H, 2·W].

    Zeros are put between the pixels, then the filter, times 4, keeps the brightness.

    Args:
        x: features [B, C, H, W]; the border is replicated.
        kernel: `blur_kernel(DOUBLING)`, [4, 4].

    Source: Park et al., ECCV 2020, arXiv:2007.15651; taesungp/contrastive-unpaired-translation b3ac297.
    """
    channels = x.shape[1]
    padded = _replicate_border(x)
    return F.conv_transpose2d(padded, 4 * kernel.expand(channels, 1, -1, -1), stride=2, padding=3, groups=channels)


def upsample_and_convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Upsample by nearest neighbours, pad by one reflected pixel, and convolve 3x3.

    A 3x3 window on repeated pixels covers 2x2 different ones, so the same is a transposed convolution of stride 2 with
    a 4x4 kernel on the small map, at 16 of 36 multiplications: along each axis, weights :math:`(w_0, w_1, w_2)` become
    :math:`(w_2, w_1 + w_2, w_0 + w_1, w_0)`. A reflected border of repeated pixels is a replicated border of the small
    map. The reference path computes the three steps.

    Args:
        x: features [B, C, H, W].
        weight: [C', C, 3, 3].
        bias: [C'] or None.

    Returns:
        [B, C', 2·H, 2·W].

    Source: Shi et al., Is the deconvolution layer the same as a convolutional layer?, arXiv:1609.07009.

    Example:
        >>> from i2i.nn.functional.optimizations import disable_optimizations
        >>> x, weight = torch.randn(1, 2, 4, 5), torch.randn(3, 2, 3, 3)
        >>> optimized = upsample_and_convolve(x, weight)
        >>> with disable_optimizations():
        ...     reference = upsample_and_convolve(x, weight)
        >>> torch.allclose(optimized, reference, atol=1e-5)
        True
    """
    if not optimizations_enabled():
        repeated = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.conv2d(pad(repeated, (1, 1, 1, 1)), weight, bias)
    kernel = _three_taps_to_four(_three_taps_to_four(weight, 2), 3).transpose(0, 1)
    return F.conv_transpose2d(_replicate_border(x), kernel, bias, stride=2, padding=3)


def _replicate_border(x: Tensor) -> Tensor:
    """Pad one replicated pixel on each side: [B, C, H + 2, W + 2]."""
    if not torch.compiler.is_compiling():
        return pad(x, (1, 1, 1, 1), "replicate")
    # torch 2.15's compiler assumes another memory layout for the gradient of that padding, and stops.
    tall = torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2)
    return torch.cat((tall[..., :1], tall, tall[..., -1:]), 3)


def _three_taps_to_four(weight: Tensor, axis: int) -> Tensor:
    first, second, third = weight.unbind(axis)
    return torch.stack((third, second + third, first + second, first), axis)
