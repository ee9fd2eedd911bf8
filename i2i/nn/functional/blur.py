"""Halving and doubling the sides of a feature map behind a low-pass filter, so that shifts do not alias."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.upsampling import repeat_border

HALVING = (1, 2, 1)
DOUBLING = (1, 3, 3, 1)


def blur_kernel(weights: Sequence[int]) -> Tensor:
    """The separable filter [k, k] of a row of weights, with sum 1.

    Example:
        >>> blur_kernel((1, 1))
        tensor([[0.2500, 0.2500],
                [0.2500, 0.2500]])
    """
    row = torch.tensor(weights, dtype=torch.float32)
    return torch.outer(row, row) / row.sum() ** 2


def blur_down(x: Tensor, kernel: Tensor) -> Tensor:
    """Blurs and takes every second pixel: [B, C, H, W] to [B, C, ceil(H / 2), ceil(W / 2)].

    Args:
        kernel: [3, 3] as of `blur_kernel(HALVING)`; the border is reflected.

    Source: Zhang, ICML 2019, arXiv:1904.11486, section 3.2.
    """
    channels = x.shape[1]
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(channels, 1, -1, -1), stride=2, groups=channels)


def blur_up(x: Tensor, kernel: Tensor) -> Tensor:
    """Doubles the sides by interpolation: [B, C, H, W] to [B, C, 2·H, 2·W].

    Zeros between the pixels, then the filter, times 4 so that the brightness stays. The border is repeated outwards.

    Args:
        kernel: [4, 4] as of `blur_kernel(DOUBLING)`.

    Source: Park et al., ECCV 2020, arXiv:2007.15651; taesungp/contrastive-unpaired-translation b3ac297.
    """
    channels = x.shape[1]
    padded = repeat_border(x)
    return F.conv_transpose2d(padded, 4 * kernel.expand(channels, 1, -1, -1), stride=2, padding=3, groups=channels)


def blur(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Filters every channel: [B, C, H, W] to [B, C, H + 2·padding - k + 1, W + 2·padding - k + 1].

    Args:
        kernel: [k, k], such as `blur_kernel(DOUBLING)`.
        padding: zeros added on each side.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, where each resizing has this filter beside it.
    """
    channels = x.shape[1]
    return F.conv2d(x, kernel.to(x.dtype).expand(channels, 1, -1, -1), padding=padding, groups=channels)
