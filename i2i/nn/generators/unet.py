"""pix2pix's generator: an encoder to a single pixel and a decoder, with a skip connection at every level."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, Positive, describe_size, height_width
from i2i.core.contracts import Activation, Attention, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.functional.resampling import upsample_and_convolve
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Conv2d

WIDEST = 8
"""Upper bound of the channels, as a multiple of the first level's."""
OUTER = 4
"""Number of outer levels without dropout; the innermost level has none either."""
NEAREST = 0.97
"""Factor of an image in [-1, 1] before its inverse tanh, which is infinite at -1 and 1."""

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
    """Halve the sides: activation, 4x4 convolution of stride 2, norm.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', H/2, W/2].
        bias: whether the convolution has a bias.
        norm: factory of the norm; None for no norm.
        activation: factory of the activation; None for no activation.
    """

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
    """Double the sides: activation, 4x4 transposed convolution of stride 2, norm, dropout.

    With `nearest` each pixel is repeated and a 3x3 convolution follows, which leaves no checkerboard.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', 2·H, 2·W].
        bias: whether the convolution has a bias.
        norm: factory of the norm; None for no norm.
        activation: factory of the activation.
        dropout: the dropout layer; None for no dropout.
        upsample: how the sides are doubled, `transposed` or `nearest`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool,
        norm: Factory[Norm] | None,
        activation: Factory[Activation],
        dropout: Dropout | None = None,
        upsample: Literal["transposed", "nearest"] = "transposed",
    ) -> None:
        super().__init__()
        self.activation = activation()
        self.conv: nn.Module
        if upsample == "nearest":
            self.conv = UpsampledConv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        else:
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)
        self.norm = norm(out_channels) if norm is not None else None
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.activation(x))
        x = x if self.norm is None else self.norm(x)
        return x if self.dropout is None else self.dropout(x)


class UpsampledConv2d(Conv2d):
    """Convolution of features [B, C, H, W] of which each pixel has been repeated to [B, C, 2·H, 2·W]."""

    def forward(self, x: Tensor) -> Tensor:
        return upsample_and_convolve(x, self.weight, self.bias)


class Unet(nn.Module):
    """Encoder and decoder, whose level k concatenates the encoder's features of level k to those of level k + 1.

    Channels double with each level up to eight times the first level's. Activations precede the convolutions, so that
    skip connections carry normalized features. There is no norm after the first, the innermost and the last
    convolution.

    Args:
        channels: channels of the first level.
        levels: number of halvings; 8 for images of 256 px, of which a single pixel remains, 7 for 128 px.
        norm: factory of the norms; pix2pix's uses each batch's statistics at inference, too.
        dropout: probability, in [0, 1), after the norms of the `levels - 5` levels outside the innermost one.
        dropout_at_inference: whether dropout remains active in translation, as in pix2pix; two translations of an
            image then differ.
        bias: whether convolutions before a norm have a bias, which batch norm makes useless.
        in_channels: channels of the input images.
        out_channels: channels of the output images.
        down_activation: factory of the encoder's activations.
        up_activation: factory of the decoder's activations.
        attention: factory of an attention on the features of level `attention_level`; adds logits and a heat map.
        attention_level: number of halvings before the attention, from 1 to `levels`.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        upsample: how the decoder doubles the sides: `transposed` convolutions, or `nearest`, each followed by a 3x3
            convolution, which leaves no checkerboard.
        residual: whether the last convolution's result is added to the input image before the tanh, so that the network
            begins as (nearly) the identity and learns what to change; needs as many channels out as in.

    Raises:
        OptionError: there is no level `attention_level`.

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
        upsample: Literal["transposed", "nearest"] = "transposed",
        residual: bool = False,
    ) -> None:
        super().__init__()
        if residual and in_channels != out_channels:
            raise OptionError("residual", f"expected as many channels out as in, got {in_channels} and {out_channels}")
        self.residual = residual
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
                upsample,
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
    def check(cls, image_size: ImageSize, levels: int) -> None:
        """Refuse an image size that cannot be halved so often.

        Raises:
            OptionError: it is no multiple of 2^levels; names the number of levels that would work.
        """
        sides = height_width(image_size)
        if any(side % 2**levels for side in sides):
            most = min((side & -side).bit_length() - 1 for side in sides)
            raise OptionError(
                "levels",
                f"{levels} levels need images whose sides are multiples of {2**levels}, got "
                f"{describe_size(image_size)} px; at most {most} work here",
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
        if self.residual:
            x = x + torch.atanh(NEAREST * image)
        return GeneratorOutput(torch.tanh(x), logits, heatmap)
