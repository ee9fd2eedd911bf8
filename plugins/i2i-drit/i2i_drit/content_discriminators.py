"""The discriminators `content` and `content_pooled`, which classify the domain that a content comes from."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.kinds import ACTIVATION
from i2i.errors import ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_drit.encoders import DOWNSAMPLINGS

SMALLEST_MAP = 53
"""Smallest side of a content for the paper's layers, whose maps then have the sides 53, 25, 11, 4 and 1."""
POOLED_LAYERS = 3


class ContentDiscriminator(nn.Module):
    """Content discriminator: three 7x7 convolutions of stride 2, one 4x4 and a 1x1, without norms.

    The reference intends norms but, by a mistake, applies none.

    Args:
        channels: channels of all layers.
        activation: activation of all layers but the last.
        init: initialization of the weights.
        num_features: channels C of the contents [B, C, h, w], set by the encoder.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        channels: Positive = 256,
        activation: i2i.Factory[i2i.Activation] = ACTIVATION("leaky_relu", negative_slope=0.01),
        init: Initialization = "normal",
        num_features: int = 256,
    ) -> None:
        super().__init__()
        self.num_features, self.smallest = num_features, SMALLEST_MAP
        self.blocks = nn.ModuleList(
            ConvBlock(in_channels, channels, 7, 2, 1, activation=activation)
            for in_channels in (num_features, channels, channels)
        )
        self.last = ConvBlock(channels, channels, 4, activation=activation)
        self.final = nn.Conv2d(channels, 1, 1)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse images whose contents are too small."""
        smallest, side = SMALLEST_MAP << DOWNSAMPLINGS, min(height_width(image_size))
        if side < smallest:
            raise i2i.OptionError(
                "image_size",
                f"the content discriminator needs images of at least {smallest} px, got {side}; "
                f"content_pooled takes smaller ones, from {2 ** (POOLED_LAYERS + DOWNSAMPLINGS)} px on",
            )

    def forward(self, content: Tensor) -> i2i.DiscriminatorOutput:
        _check_content(content, self.num_features, self.smallest)
        x = content
        for block in self.blocks:
            x = block(x)
        return i2i.DiscriminatorOutput({"content": self.final(self.last(x))})


class PooledContentDiscriminator(nn.Module):
    """Content discriminator for small images: 4x4 convolutions of stride 2, global average pooling, a linear layer.

    It is not part of the paper, whose discriminator needs images of 212 px.

    Args:
        channels: channels of all layers.
        layers: number of convolutions of stride 2.
        activation: activation of all layers but the last.
        init: initialization of the weights.
        num_features: channels C of the contents [B, C, h, w], set by the encoder.
    """

    def __init__(
        self,
        channels: Positive = 64,
        layers: Annotated[int, Field(ge=1)] = POOLED_LAYERS,
        activation: i2i.Factory[i2i.Activation] = ACTIVATION("leaky_relu", negative_slope=0.01),
        init: Initialization = "normal",
        num_features: int = 256,
    ) -> None:
        super().__init__()
        self.num_features, self.smallest = num_features, 2**layers
        widths = [num_features] + [channels] * layers
        self.blocks = nn.ModuleList(
            ConvBlock(*channels, 4, 2, 1, activation=activation) for channels in pairwise(widths)
        )
        self.final = nn.Conv2d(channels, 1, 1)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, layers: int) -> None:
        """Refuse images whose contents are too small for the layers."""
        smallest, side = 2 ** (layers + DOWNSAMPLINGS), min(height_width(image_size))
        if side < smallest:
            fitting = (side >> DOWNSAMPLINGS).bit_length() - 1
            fix = f"{fitting} layers would fit" if fitting > 0 else "no number of layers would fit"
            raise i2i.OptionError(
                "layers",
                f"{layers} layers need images of at least {smallest} px, got {side} px; {fix}",
            )

    def forward(self, content: Tensor) -> i2i.DiscriminatorOutput:
        _check_content(content, self.num_features, self.smallest)
        x = content
        for block in self.blocks:
            x = block(x)
        return i2i.DiscriminatorOutput({"content": self.final(x.mean((2, 3), keepdim=True))})


def _check_content(content: Tensor, num_features: int, smallest: int) -> None:
    if content.ndim != 4 or content.shape[1] != num_features or min(content.shape[2:]) < smallest:
        raise ShapeError(
            f"content discriminator: expected contents [B, {num_features}, h, w] with sides of at least {smallest}, "
            f"got {list(content.shape)}"
        )
