"""Attribute encoders: what of an image its content does not say, as a few numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.nn.generators.content_style import StyleEncoder
from i2i.nn.layers.convolution import ConvBlock

SMALLEST = 16
"""Least side of an image: below, the last convolution's map would be too small to pad by reflection."""


class Attribute(NamedTuple):
    """What is known of an image's attribute: the mean [B, A], and the log-variance [B, A] where there is one."""

    mean: Tensor
    log_variance: Tensor | None = None


class HalvingBlock(nn.Module):
    """`pool(conv(act(conv(act(x))))) + conv1x1(pool(x))`, where pool averages 2x2 pixels; no norms."""

    def __init__(self, in_channels: int, out_channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.activation = activation()
        self.first = ConvBlock(in_channels, in_channels, 3, padding=1)
        self.second = ConvBlock(in_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(self.activation(self.first(self.activation(x))))
        residual: Tensor = F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return residual


class GaussianAttributeEncoder(nn.Module):
    """A residual network to the mean and the log-variance of one domain's attributes.

    Args:
        channels: after the first convolution; the three blocks have two, three and four times as many.
        attribute_channels: A, numbers in an attribute.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference for concat = 1.
    """

    def __init__(self, channels: int, attribute_channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        widths = [channels * factor for factor in (1, 2, 3, 4)]
        self.stem = ConvBlock(3, channels, 4, 2, 1)
        self.blocks = nn.ModuleList(HalvingBlock(before, after, activation) for before, after in pairwise(widths))
        self.activation = activation()
        self.mean = nn.Linear(widths[-1], attribute_channels)
        self.log_variance = nn.Linear(widths[-1], attribute_channels)

    def forward(self, image: Tensor) -> Attribute:
        x: Tensor = self.stem(image)
        for block in self.blocks:
            x = block(x)
        pooled = self.activation(x).mean((2, 3))
        return Attribute(self.mean(pooled), self.log_variance(pooled))


class PlainAttributeEncoder(nn.Module):
    """A chain of convolutions without norms to one domain's attributes, without a variance.

    Layer for layer MUNIT's style encoder: 7x7, four of 4x4 and stride 2, global average, 1x1.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference for concat = 0.
    """

    def __init__(self, channels: int, attribute_channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.chain = StyleEncoder(channels, attribute_channels, 4, activation)

    def forward(self, image: Tensor) -> Attribute:
        return Attribute(self.chain(image))
