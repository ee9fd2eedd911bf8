"""Decoders of contents and attributes to images of one domain, in the paper's two variants."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

import i2i
from i2i.nn.generators.blocks import ResidualBlock
from i2i.nn.layers.convolution import ConvBlock, UpBlock


def concatenate(x: Tensor, vector: Tensor) -> Tensor:
    """Append a vector [B, V] to the features [B, C, h, w] of every pixel; returns [B, C + V, h, w]."""
    return torch.cat([x, vector[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


class ConcatDecoder(nn.Module):
    """Decoder with the attribute appended to the features of every stage.

    Args:
        num_features: channels C of the contents [B, C, h, w].
        attribute_channels: size A of an attribute.
        blocks: number of residual blocks, of C + A channels.
        norm: norm of the residual blocks.
        upsample_norm: norm of the upsampling layers.
        activation: activation of all layers but the last.
        out_channels: channels of the images.

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
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        width = num_features + attribute_channels
        self.blocks = nn.ModuleList(ResidualBlock(width, norm, activation, bias=True) for _ in range(blocks))
        self.up = nn.ModuleList()
        for _ in range(2):
            in_channels = width + attribute_channels
            width = in_channels // 2
            self.up.append(UpBlock(in_channels, width, "transposed", True, upsample_norm, activation))
        self.head = nn.Conv2d(
            width + attribute_channels, out_channels, 1
        )  # transposed in the reference, which is the same for 1x1

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        x = concatenate(content, attribute)
        for block in self.blocks:
            x = block(x)
        for block in self.up:
            x = block(concatenate(x, attribute))
        return torch.tanh(self.head(concatenate(x, attribute)))


class AttributeMLP(nn.Module):
    """Maps attributes [B, A] to one vector [B, num_features] for each block.

    Args:
        attribute_channels: size A of an attribute.
        hidden: width of the two hidden layers.
        blocks: number of vectors.
        num_features: size of each vector.
        activation: activation of the hidden layers.
    """

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
        self.layers = nn.ModuleList(nn.Linear(*sizes) for sizes in pairwise(widths))
        self.activation = activation()

    def forward(self, attribute: Tensor) -> tuple[Tensor, ...]:
        first, second, last = self.layers
        vectors = last(self.activation(second(self.activation(first(attribute)))))
        return tuple(vectors.split(self.num_features, 1))


class Mix(nn.Module):
    """Combines the features [B, C, h, w] of every pixel with a vector [B, C], by two 1x1 convolutions.

    Args:
        channels: C.
        activation: activation after both convolutions.
    """

    def __init__(self, channels: int, activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.wide = ConvBlock(2 * channels, 2 * channels, 1, activation=activation)
        self.narrow = ConvBlock(2 * channels, channels, 1, activation=activation)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        mixed: Tensor = self.narrow(self.wide(concatenate(x, vector)))
        return mixed


class TransformedBlock(nn.Module):
    """A residual block that combines its features with a vector after each of its two norms.

    Args:
        channels: channels of the features.
        norm: norm after each 3x3 convolution.
        activation: activation after each 1x1 convolution.
    """

    def __init__(self, channels: int, norm: i2i.Factory[i2i.Norm], activation: i2i.Factory[i2i.Activation]) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3, padding=1, norm=norm)
        self.first_mix = Mix(channels, activation)
        self.second = ConvBlock(channels, channels, 3, padding=1, norm=norm)
        self.second_mix = Mix(channels, activation)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        hidden = self.first_mix(self.first(x), vector)
        result: Tensor = x + self.second_mix(self.second(hidden), vector)
        return result


class ShapeDecoder(nn.Module):
    """Decoder with features of every block transformed by the attribute.

    Args:
        num_features: channels C of the contents [B, C, h, w].
        attribute_channels: size A of an attribute.
        blocks: number of residual blocks, each transformed by a vector of its own.
        mlp_channels: width of the two hidden layers between the attribute and these vectors.
        norm: norm of the residual blocks.
        upsample_norm: norm of the upsampling layers.
        activation: activation of all layers but the last.
        out_channels: channels of the images.

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
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        self.mlp = AttributeMLP(attribute_channels, mlp_channels, blocks, num_features, activation)
        self.blocks = nn.ModuleList(TransformedBlock(num_features, norm, activation) for _ in range(blocks))
        widths = (num_features, num_features // 2, num_features // 4)
        self.up = nn.ModuleList(
            UpBlock(*channels, "transposed", True, upsample_norm, activation) for channels in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        x = content
        for block, vector in zip(self.blocks, self.mlp(attribute), strict=True):
            x = block(x, vector)
        for block in self.up:
            x = block(x)
        return torch.tanh(self.head(x))
