"""pix2pix's generator: an encoder to a single pixel and back, with a skip at every level."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive
from i2i.core.contracts import Activation, Attention, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import Conv2d
from i2i.nn.layers.initialization import Initialization, initialize

WIDEST = 8
"""The most that the channels grow to, as a multiple of the first level's."""
OUTER = 4
"""Levels without dropout; neither has the innermost one."""

Levels = Annotated[int, Field(ge=2)]


class Dropout(nn.Module):
    """Dropout that may remain active in evaluation.

    Args:
        probability: of each element to become 0; the others are scaled up to keep the mean.
        at_inference: whether it remains active in evaluation, as pix2pix's only source of noise.
    """

    def __init__(self, probability: float, at_inference: bool = False) -> None:
        super().__init__()
        self.probability, self.at_inference = probability, at_inference

    @property
    def draws_random_numbers(self) -> bool:
        """Whether the layer draws in its present mode; see `i2i.nn.layers.independence`."""
        return self.training or self.at_inference

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.probability, self.draws_random_numbers)


class Down(nn.Module):
    """Halves the sides: activation, 4x4 convolution of stride 2, norm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool,
        norm: Factory[Norm] | None,
        activation: Factory[Activation] | None,
    ) -> None:
        super().__init__()
        self.activation = activation() if activation is not None else None
        self.conv = Conv2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)
        self.norm = norm(out_channels) if norm is not None else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x if self.activation is None else self.activation(x))
        return x if self.norm is None else self.norm(x)


class Up(nn.Module):
    """Doubles the sides: activation, 4x4 transposed convolution of stride 2, norm, dropout."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool,
        norm: Factory[Norm] | None,
        activation: Factory[Activation],
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)
        self.norm = norm(out_channels) if norm is not None else None
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.activation(x))
        x = x if self.norm is None else self.norm(x)
        return x if self.dropout is None else self.dropout(x)


class Unet(nn.Module):
    """An encoder and a decoder whose level k sees the encoder's level k beside what comes from below.

    Channels double with each level up to eight times the first level's. Activations stand before the convolutions, so
    skips carry what the norm gave. Nothing is normalized after the first, the innermost and the last convolution.

    Args:
        channels: of the first level.
        levels: halvings; 8 for images of 256 px (a single pixel remains), 7 for 128 px.
        norm: pix2pix's takes each batch's statistics at inference too.
        dropout: probability after the norms of the `levels - 5` innermost levels but one.
        dropout_at_inference: keeps it on when translating, as pix2pix does; two translations then differ.
        bias: of the convolutions before a norm; those of batch norm need none.
        in_channels, out_channels: of the images.
        down_activation, up_activation: before the convolutions of the two halves.
        attention: over the features of the level `attention_level`; gives logits and a heat map.
        attention_level: halvings before the attention.
        init: how the weights start.

    Raises:
        OptionError: an attention at a level that does not exist.

    Source: Isola et al., CVPR 2017, arXiv:1611.07004, appendix 6.1; junyanz/pytorch-CycleGAN-and-pix2pix,
    `UnetGenerator`.
    """

    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 64,
        levels: Levels = 8,
        norm: Factory[Norm] = NORM("bn", statistics="batch"),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        dropout_at_inference: bool = True,
        bias: bool = False,
        in_channels: int = 3,
        out_channels: int = 3,
        down_activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        up_activation: Factory[Activation] = ACTIVATION("relu"),
        attention: Factory[Attention] | None = None,
        attention_level: int = 2,
        init: Initialization = "normal",
    ) -> None:
        super().__init__()
        self.in_channels, self.levels, self.multiple = in_channels, levels, 2**levels
        widths = [channels * min(2**level, WIDEST) for level in range(levels)]
        last = levels - 1
        self.down = nn.ModuleList(
            Down(
                widths[level - 1] if level else in_channels,
                widths[level],
                bias,
                norm if 0 < level < last else None,
                down_activation if level else None,
            )
            for level in range(levels)
        )
        self.up = nn.ModuleList(
            Up(
                widths[level] * (1 if level == last else 2),
                widths[level - 1] if level else out_channels,
                bias if level else True,
                norm if level else None,
                up_activation,
                Dropout(dropout, dropout_at_inference) if dropout and OUTER <= level < last else None,
            )
            for level in range(levels)
        )
        if attention is not None and not 1 <= attention_level <= levels:
            raise OptionError("attention_level", f"expected a level from 1 to {levels}, got {attention_level}")
        self.attention_level = attention_level
        self.attention = None
        if attention is not None:
            self.attention = attention(widths[attention_level - 1], activation=up_activation())
        initialize(self, init)

    @classmethod
    def check(cls, image_size: int, levels: int) -> None:
        """Refuses an image side that cannot be halved so often.

        Raises:
            OptionError: says how many levels would be legal.
        """
        if image_size % 2**levels:
            most = (image_size & -image_size).bit_length() - 1
            raise OptionError(
                "levels",
                f"{levels} levels need images whose sides are multiples of {2**levels}, got {image_size} px; "
                f"at most {most} work here",
            )

    def forward(self, image: Tensor) -> GeneratorOutput:
        if image.ndim != 4 or image.shape[1] != self.in_channels or any(s % self.multiple for s in image.shape[2:]):
            raise ShapeError(
                f"U-Net: expected images [B, {self.in_channels}, H, W] with sides that are multiples of "
                f"{self.multiple}, got {list(image.shape)}"
            )
        logits, heatmap = None, None
        features: list[Tensor] = []
        x = image
        for level, down in enumerate(self.down, start=1):
            x = down(x)
            if self.attention is not None and level == self.attention_level:
                x, logits, heatmap = self.attention(x)
            features.append(x)
        x = self.up[-1](features.pop())
        for up in reversed(self.up[:-1]):
            x = up(torch.cat([features.pop(), x], dim=1))
        return GeneratorOutput(torch.tanh(x), logits, heatmap)
