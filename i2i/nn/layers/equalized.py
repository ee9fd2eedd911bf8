"""Layers with an equalized learning rate: weights start at N(0, 1) and are scaled each time they are used."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive


class EqualizedConv2d(nn.Module):
    r"""A convolution whose weight is multiplied by :math:`1 / \sqrt{C_{in} k^2}` when it is used.

    He's constant outside the weight instead of in its start: an optimizer that normalizes its steps, as Adam does,
    then moves all layers equally fast.

    Args:
        padding: zeros added on each side.
        bias: from 0.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 4.1, with the gain of the activation left to it.
    """

    def __init__(
        self,
        in_channels: Positive,
        out_channels: Positive,
        kernel_size: Positive,
        stride: Positive = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)

    def transposed(self, x: Tensor) -> Tensor:
        """The transposed convolution with the same weight, without bias and padding: sides n become 2·n - 2 + k."""
        return F.conv_transpose2d(x, (self.weight * self.scale).transpose(0, 1), stride=2)


class EqualizedLinear(nn.Module):
    r"""A linear layer whose weight is multiplied by :math:`r / \sqrt{C_{in}}` when it is used, and its bias by r.

    Args:
        rate: r; with 0.01 the layer learns a hundred times slower than others (StyleGAN's mapping).

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 4.1; rate: Karras et al., CVPR 2019, arXiv:1812.04948.
    """

    def __init__(self, in_features: Positive, out_features: Positive, bias: bool = True, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.scale, self.rate = rate / math.sqrt(in_features), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)
