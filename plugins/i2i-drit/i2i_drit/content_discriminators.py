"""Discriminators of contents: from which of the two domains does a content come?"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Positive
from i2i.core.kinds import ACTIVATION
from i2i.errors import ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_drit.content_encoder import HALVINGS

SMALLEST_MAP = 53
"""Least side of a content that the paper's convolutions leave a logit of: 53, 25, 11, 4 and 1."""
POOLED_LAYERS = 3


class ContentDiscriminator(nn.Module):
    """Three convolutions 7x7 of stride 2, one 4x4 and a 1x1 to the logit; no norms.

    The reference means to normalize and, by a slip, never does.

    Args:
        channels: of all its layers.
        num_features: channels C of the contents [B, C, h, w]; the encoder says it.

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
            ConvBlock(before, channels, 7, 2, 1, activation=activation) for before in (num_features, channels, channels)
        )
        self.last = ConvBlock(channels, channels, 4, activation=activation)
        self.final = nn.Conv2d(channels, 1, 1)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: int) -> None:
        """Refuses images whose contents are too small.

        Raises:
            OptionError: says the smallest image, and what would take a smaller one.
        """
        smallest = SMALLEST_MAP << HALVINGS
        if image_size < smallest:
            raise i2i.OptionError(
                "image_size",
                f"the content discriminator needs images of at least {smallest} px, got {image_size}; "
                f"content_pooled takes smaller ones, from {2 ** (POOLED_LAYERS + HALVINGS)} px on",
            )

    def forward(self, content: Tensor) -> i2i.DiscriminatorOutput:
        _check_content(content, self.num_features, self.smallest)
        x = content
        for block in self.blocks:
            x = block(x)
        return i2i.DiscriminatorOutput({"content": self.final(self.last(x))})


class PooledContentDiscriminator(nn.Module):
    """Convolutions 4x4 of stride 2, the mean over all places, and a linear layer: for images that are too small.

    Not the paper's: it judges small contents, which the paper's cannot.

    Args:
        channels: of all its layers.
        layers: convolutions of stride 2.
        num_features: channels C of the contents [B, C, h, w]; the encoder says it.
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
            ConvBlock(before, after, 4, 2, 1, activation=activation) for before, after in pairwise(widths)
        )
        self.final = nn.Conv2d(channels, 1, 1)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: int, layers: int) -> None:
        """Refuses images whose contents cannot be halved so often.

        Raises:
            OptionError: says the smallest image, and how many layers would do.
        """
        if image_size < 2 ** (layers + HALVINGS):
            most = (image_size >> HALVINGS).bit_length() - 1
            fits = f"{most} layers would fit" if most > 0 else "no number of layers would fit"
            raise i2i.OptionError(
                "layers",
                f"{layers} layers need images of at least {2 ** (layers + HALVINGS)} px, got {image_size} px; {fits}",
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
