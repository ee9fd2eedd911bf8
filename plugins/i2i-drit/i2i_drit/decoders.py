"""Decoders: a content and an attribute to an image of one domain, in the paper's two ways."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

import i2i
from i2i.nn.generators.blocks import ResidualBlock
from i2i.nn.layers.convolution import ConvBlock, UpBlock


def beside(x: Tensor, vector: Tensor) -> Tensor:
    """Features [B, C, h, w] with a vector [B, V] as further channels, the same at every place: [B, C + V, h, w]."""
    return torch.cat([x, vector[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


class ConcatDecoder(nn.Module):
    """Hands the attribute to every stage as further channels; it changes what keeps its shape, such as light.

    Args:
        num_features: C of the contents [B, C, h, w].
        attribute_channels: A, numbers in an attribute.
        blocks: residual blocks, of C + A channels.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        num_features: int,
        attribute_channels: int,
        blocks: int,
        norm: i2i.Factory[i2i.Norm],
        upsample_norm: i2i.Factory[i2i.Norm],
        activation: i2i.Factory[i2i.Activation],
    ) -> None:
        super().__init__()
        width = num_features + attribute_channels
        self.blocks = nn.ModuleList(ResidualBlock(width, norm, activation, bias=True) for _ in range(blocks))
        self.up = nn.ModuleList()
        for _ in range(2):
            before = width + attribute_channels
            width = before // 2
            self.up.append(UpBlock(before, width, "transposed", True, upsample_norm, activation))
        self.head = nn.Conv2d(width + attribute_channels, 3, 1)  # of one pixel, so transposed or not is the same

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        x = beside(content, attribute)
        for block in self.blocks:
            x = block(x)
        for block in self.up:
            x = block(beside(x, attribute))
        return torch.tanh(self.head(beside(x, attribute)))


class AttributeMLP(nn.Module):
    """An attribute [B, A] to a vector [B, num_features] for each block."""

    def __init__(
        self,
        attribute_channels: int,
        hidden: int,
        blocks: int,
        num_features: int,
        activation: i2i.Factory[i2i.Activation],
    ) -> None:
        super().__init__()
        self.num_features = num_features
        widths = (attribute_channels, hidden, hidden, blocks * num_features)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activation = activation()

    def forward(self, attribute: Tensor) -> tuple[Tensor, ...]:
        first, second, last = self.layers
        numbers = last(self.activation(second(self.activation(first(attribute)))))
        return tuple(numbers.split(self.num_features, 1))


class Mix(nn.Module):
    """Every pixel's features [B, C, h, w] with a vector [B, C], by two 1x1 convolutions."""

    def __init__(self, channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.wide = ConvBlock(2 * channels, 2 * channels, 1, activation=activation)
        self.narrow = ConvBlock(2 * channels, channels, 1, activation=activation)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        mixed: Tensor = self.narrow(self.wide(beside(x, vector)))
        return mixed


class TransformedBlock(nn.Module):
    """A residual block that mixes its features with a vector after each of its two norms."""

    def __init__(self, channels: int, norm: i2i.Factory[i2i.Norm], activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3, padding=1, norm=norm)
        self.first_mix = Mix(channels, activation)
        self.second = ConvBlock(channels, channels, 3, padding=1, norm=norm)
        self.second_mix = Mix(channels, activation)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        hidden = self.first_mix(self.first(x), vector)
        residual: Tensor = x + self.second_mix(self.second(hidden), vector)
        return residual


class ShapeDecoder(nn.Module):
    """Transforms the features of every block by the attribute; it can change forms, for which it keeps less place.

    Args:
        num_features: C of the contents [B, C, h, w].
        attribute_channels: A, numbers in an attribute.
        blocks: residual blocks that are transformed, each by a vector of its own.
        mlp_channels: width of the two hidden layers between the attribute and those vectors.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        num_features: int,
        attribute_channels: int,
        blocks: int,
        mlp_channels: int,
        norm: i2i.Factory[i2i.Norm],
        upsample_norm: i2i.Factory[i2i.Norm],
        activation: i2i.Factory[i2i.Activation],
    ) -> None:
        super().__init__()
        self.mlp = AttributeMLP(attribute_channels, mlp_channels, blocks, num_features, activation)
        self.blocks = nn.ModuleList(TransformedBlock(num_features, norm, activation) for _ in range(blocks))
        widths = (num_features, num_features // 2, num_features // 4)
        self.up = nn.ModuleList(
            UpBlock(before, after, "transposed", True, upsample_norm, activation) for before, after in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[-1], 3, 1)

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        x = content
        for block, vector in zip(self.blocks, self.mlp(attribute), strict=True):
            x = block(x, vector)
        for block in self.up:
            x = block(x)
        return torch.tanh(self.head(x))
