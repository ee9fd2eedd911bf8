"""The content encoder: layers of each domain, then blocks that both domains share."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

import i2i
from i2i.nn.generators.blocks import ResidualBlock
from i2i.nn.layers.convolution import ConvBlock

HALVINGS = 2
"""Convolutions of stride 2, so a content has a quarter of the image's sides."""


class DomainContentEncoder(nn.Module):
    """The layers of one domain.

    The first convolution has no norm, and a slope of 0.01 for negative values.
    """

    def __init__(
        self, channels: int, blocks: int, norm: i2i.Factory[i2i.Norm], activation: i2i.Factory[i2i.Activation]
    ) -> None:
        super().__init__()
        width = 2**HALVINGS * channels
        leaky = i2i.ACTIVATION("leaky_relu", negative_slope=0.01)
        self.stem = ConvBlock(3, channels, 7, padding=3, activation=leaky)
        self.down = nn.ModuleList(
            ConvBlock(before, 2 * before, 3, 2, 1, norm=norm, activation=activation)
            for before in (channels * 2**depth for depth in range(HALVINGS))
        )
        self.blocks = nn.ModuleList(ResidualBlock(width, norm, activation, bias=True) for _ in range(blocks))

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stem(image)
        for block in chain(self.down, self.blocks):
            x = block(x)
        return x


class ContentEncoder(nn.Module):
    """Images [B, 3, H, W] of either domain to contents [B, 4·channels, H/4, W/4].

    The last blocks are one and the same for both domains, so that contents mean the same. Whoever trains it adds the
    noise, which is counted.

    Args:
        channels: after the first convolution; doubled by each of stride 2.
        blocks: residual blocks of each domain.
        shared_blocks: residual blocks that both domains share.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        domains: tuple[str, ...],
        channels: int,
        blocks: int,
        shared_blocks: int,
        norm: i2i.Factory[i2i.Norm],
        activation: i2i.Factory[i2i.Activation],
    ) -> None:
        super().__init__()
        self.num_features = 2**HALVINGS * channels
        self.domains = nn.ModuleDict(
            {domain: DomainContentEncoder(channels, blocks, norm, activation) for domain in domains}
        )
        self.shared = nn.ModuleList(
            ResidualBlock(self.num_features, norm, activation, bias=True) for _ in range(shared_blocks)
        )

    def forward(self, image: Tensor, domain: str) -> Tensor:
        x: Tensor = self.domains[domain](image)
        for block in self.shared:
            x = block(x)
        return x
