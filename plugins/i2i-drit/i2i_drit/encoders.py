"""Encoders of contents, which two domains share, and of attributes, which belong to one domain."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.nn.generators.blocks import ResidualBlock
from i2i.nn.generators.content_style import StyleEncoder
from i2i.nn.layers.convolution import ConvBlock

DOWNSAMPLINGS = 2
"""Convolutions of stride 2 in the content encoder: contents have a quarter of the image's sides."""
SMALLEST = 16
"""Smallest side of an image: for less, the attribute encoder's last reflection padding would exceed its input."""


class Attribute(NamedTuple):
    """Distribution of an image's attribute.

    Args:
        mean: [B, A].
        log_variance: [B, A], or None for an encoder without a variance.
    """

    mean: Tensor
    log_variance: Tensor | None = None


class DomainContentEncoder(nn.Module):
    """Layers of the content encoder that belong to one domain.

    The first convolution has no norm and a LeakyReLU of slope 0.01.

    Args:
        channels: channels after the first convolution; each convolution of stride 2 doubles them.
        blocks: number of residual blocks.
        norm: norm of all layers but the first.
        activation: activation of all layers but the first.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        norm: i2i.Factory[i2i.Norm],
        activation: i2i.Factory[i2i.Activation],
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        leaky = i2i.ACTIVATION("leaky_relu", negative_slope=0.01)
        self.stem = ConvBlock(in_channels, channels, 7, padding=3, activation=leaky)
        widths = [channels * 2**level for level in range(DOWNSAMPLINGS + 1)]
        self.down = nn.ModuleList(
            ConvBlock(in_channels, out_channels, 3, 2, 1, norm=norm, activation=activation)
            for in_channels, out_channels in pairwise(widths)
        )
        self.blocks = nn.ModuleList(ResidualBlock(widths[-1], norm, activation, bias=True) for _ in range(blocks))

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stem(image)
        for block in chain(self.down, self.blocks):
            x = block(x)
        return x


class ContentEncoder(nn.Module):
    """Encodes images [B, C, H, W] of either domain as contents [B, 4·channels, H/4, W/4].

    Both domains share the last blocks, so that their contents are comparable. The noise on contents is added by the
    translator.

    Args:
        domains: channels of the images of each domain, by name.
        channels: channels after the first convolution; each convolution of stride 2 doubles them.
        blocks: number of residual blocks of each domain.
        shared_blocks: number of residual blocks that the domains share.
        norm: norm of all layers but the first.
        activation: activation of all layers but the first.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        domains: Mapping[str, int],
        channels: int,
        blocks: int,
        shared_blocks: int,
        norm: i2i.Factory[i2i.Norm],
        activation: i2i.Factory[i2i.Activation],
    ) -> None:
        super().__init__()
        self.num_features = 2**DOWNSAMPLINGS * channels
        self.domains = nn.ModuleDict(
            {
                domain: DomainContentEncoder(channels, blocks, norm, activation, in_channels)
                for domain, in_channels in domains.items()
            }
        )
        self.shared = nn.ModuleList(
            ResidualBlock(self.num_features, norm, activation, bias=True) for _ in range(shared_blocks)
        )

    def forward(self, image: Tensor, domain: str) -> Tensor:
        x: Tensor = self.domains[domain](image)
        for block in self.shared:
            x = block(x)
        return x


class DownsamplingBlock(nn.Module):
    """The residual block `pool(conv(act(conv(act(x))))) + conv1x1(pool(x))` with 2x2 average pooling and no norms.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        activation: activation before each 3x3 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.activation = activation()
        self.first = ConvBlock(in_channels, in_channels, 3, padding=1)
        self.second = ConvBlock(in_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(self.activation(self.first(self.activation(x))))
        result: Tensor = F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return result


class GaussianAttributeEncoder(nn.Module):
    """Encodes images of one domain as means and log-variances of their attributes.

    Args:
        channels: channels after the first convolution; the three blocks have two, three and four times as many.
        attribute_channels: size A of an attribute.
        activation: activation of all layers.
        in_channels: channels of the images.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference for concat = 1.
    """

    def __init__(
        self,
        channels: int,
        attribute_channels: int,
        activation: i2i.Factory[i2i.Activation],
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        widths = [channels * factor for factor in (1, 2, 3, 4)]
        self.stem = ConvBlock(in_channels, channels, 4, 2, 1)
        self.blocks = nn.ModuleList(
            DownsamplingBlock(in_channels, out_channels, activation) for in_channels, out_channels in pairwise(widths)
        )
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
    """Encodes images of one domain as attributes without a variance, by convolutions without norms.

    The layers are those of MUNIT's style encoder: 7x7, four of 4x4 and stride 2, global average pooling, 1x1.

    Args:
        channels: channels after the first convolution.
        attribute_channels: size A of an attribute.
        activation: activation of all layers but the last.
        in_channels: channels of the images.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference for concat = 0.
    """

    def __init__(
        self,
        channels: int,
        attribute_channels: int,
        activation: i2i.Factory[i2i.Activation],
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.layers = StyleEncoder(channels, attribute_channels, 4, activation, in_channels)

    def forward(self, image: Tensor) -> Attribute:
        return Attribute(self.layers(image))
