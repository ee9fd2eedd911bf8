"""Parts of the residual generators: size checks, residual blocks, encoder and image decoder."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, height_width
from i2i.core.contracts import Activation, AdaptiveNorm, Norm
from i2i.core.factory import Factory
from i2i.errors import OptionError, ShapeError
from i2i.nn.functional.convolution import convolve
from i2i.nn.layers.convolution import ConvBlock, Down, UpBlock, Upsample
from i2i.nn.layers.fusion import finish
from i2i.nn.layers.spectral import Conv2d, Padding, padding_ahead
from i2i.nn.layers.stages import Stage, padded_image

MULTIPLE = 4
"""With two halvings and two doublings, other sides would come out larger than they went in."""
SMALLEST = 8
"""Smallest side: below, the residual blocks' maps would be too small for reflection padding and norms."""


def check_image_size(image_size: ImageSize, multiple: int = MULTIPLE, smallest: int = SMALLEST) -> None:
    """Check a recipe's image size.

    Args:
        image_size: side of the images, or their height and width, in pixels.
        multiple: what it must be a multiple of.
        smallest: what it must be at least.

    Raises:
        OptionError: it is neither; names the nearest sizes that are.
    """
    for side in height_width(image_size):
        if side % multiple or side < smallest:
            below = max(smallest, side // multiple * multiple)
            nearest = str(below) if side < smallest else f"{below} or {below + multiple}"
            raise OptionError(
                "image_size", f"expected a multiple of {multiple}, at least {smallest}, got {side}; try {nearest}"
            )


def check_image(
    image: Tensor,
    fixed_size: tuple[int, int] | None = None,
    multiple: int = MULTIPLE,
    smallest: int = SMALLEST,
    channels: int = 3,
) -> None:
    """Check the shape of a batch of images.

    Args:
        image: [B, channels, H, W].
        fixed_size: the only accepted height and width, or None for any multiple.
        multiple: what both sides must be multiples of.
        smallest: what both sides must be at least.
        channels: number of channels that the network was built for.

    Raises:
        ShapeError: the shape is another one; names both.
    """
    if image.ndim != 4 or image.shape[1] != channels:
        raise ShapeError(f"generator: expected images [B, {channels}, H, W], got {list(image.shape)}")
    height, width = image.shape[2:]
    if fixed_size is not None and (height, width) != fixed_size:
        raise ShapeError(
            f"generator: expected images of {fixed_size[0]} x {fixed_size[1]}, the size it was built for, "
            f"got {height} x {width}; only light = true, or a decoder_norm that is not adaptive, takes any size"
        )
    if height % multiple or width % multiple or min(height, width) < smallest:
        raise ShapeError(
            f"generator: expected sides that are multiples of {multiple} and at least {smallest}, "
            f"got {height} x {width}"
        )


class ResidualBlock(nn.Module):
    """Residual block `x + norm(conv(dropout(act(norm(conv(x))))))` of 3x3 convolutions with reflection padding.

    Args:
        channels: C of the features [B, C, H, W].
        norm: factory of both norms.
        activation: factory of the activation.
        bias: whether the convolutions have a bias.
        dropout: probability of each element to become 0; 0 for no dropout.
    """

    recomputable: ClassVar[bool] = True

    def __init__(
        self,
        channels: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
        bias: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3, padding=1, bias=bias, norm=norm, activation=activation)
        self.dropout = nn.Dropout(dropout) if dropout > 0 else None
        self.second = ConvBlock(channels, channels, 3, padding=1, bias=bias, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        padding = padding_ahead(self.second.conv, x) if self.dropout is None else 0
        hidden = self.first(x, padding=padding)
        hidden = hidden if self.dropout is None else self.dropout(hidden)
        return cast(Tensor, self.second(hidden, residual=x, padded=padding > 0))


class AdaptiveConvBlock(nn.Module):
    """3x3 convolution with reflection padding, then an adaptive norm.

    Args:
        channels: C of the features [B, C, H, W].
        norm: factory of the norm.
        bias: whether the convolution has a bias.
    """

    def __init__(self, channels: int, norm: Factory[AdaptiveNorm], bias: bool = False) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1, bias=bias, padding_mode="reflect")
        self.norm = norm(channels)

    def forward(
        self,
        x: Tensor,
        gamma: Tensor,
        beta: Tensor,
        activation: Activation | None = None,
        residual: Tensor | None = None,
        padded: bool = False,
        padding: int = 0,
    ) -> Tensor:
        """Compute the features [B, C, H, W].

        Args:
            x: features [B, C, H, W].
            gamma: scale [B, C] of the norm.
            beta: shift [B, C] of the norm.
            activation: after the norm; None for none.
            residual: [B, C, H, W], added to the result; None for none.
            padded: whether `x` has the padding of the convolution already.
            padding: reflected pixels that are added on each side of the result, for the next convolution.
        """
        x = convolve(x, self.conv.weight, self.conv.bias) if padded else self.conv(x)
        return finish(x, self.norm, activation, gamma, beta, residual=residual, padding=padding)


class AdaptiveResidualBlock(nn.Module):
    """Residual block whose two norms take scale and shift as inputs.

    Args:
        channels: C of the features [B, C, H, W].
        norm: factory of both norms.
        activation: factory of the activation.
        bias: whether the convolutions have a bias.
    """

    recomputable: ClassVar[bool] = True

    def __init__(
        self, channels: int, norm: Factory[AdaptiveNorm], activation: Factory[Activation], bias: bool = False
    ) -> None:
        super().__init__()
        self.first = AdaptiveConvBlock(channels, norm, bias)
        self.activation = activation()
        self.second = AdaptiveConvBlock(channels, norm, bias)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor, *second: Tensor) -> Tensor:
        """Compute the features [B, C, H, W].

        Args:
            x: features [B, C, H, W].
            gamma: scale [B, C] of the first norm.
            beta: shift [B, C] of the first norm.
            second: scale and shift of the second norm; those of the first when omitted.
        """
        padding = padding_ahead(self.second.conv, x)
        hidden = self.first(x, gamma, beta, activation=self.activation, padding=padding)
        gamma, beta = second or (gamma, beta)
        return cast(Tensor, self.second(hidden, gamma, beta, residual=x, padded=padding > 0))


class Encoder(nn.Module):
    """Encoder from an image [B, in_channels, H, W] to features [B, 2^n·channels, H/2^n, W/2^n].

    Args:
        channels: channels after the first convolution; doubled by each one of stride 2.
        blocks: number of residual blocks at the smallest size.
        norm: factory of the norms.
        activation: factory of the activations.
        bias: whether the convolutions have a bias.
        down_padding: padding mode of the convolutions of stride 2.
        dropout: probability inside the residual blocks.
        down: whether the convolutions halve the sides (`strided`), or a `blur` after them.
        downsamplings: n, number of halvings.
        down_kernel: kernel size of their convolutions, 3 or 4.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
        bias: bool,
        down_padding: Padding,
        dropout: float = 0.0,
        down: Down = "strided",
        downsamplings: int = 2,
        down_kernel: int = 3,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stem = ConvBlock(in_channels, channels, 7, padding=3, bias=bias, norm=norm, activation=activation)
        self.down = nn.ModuleList(
            ConvBlock(width, 2 * width, down_kernel, 2, 1, down_padding, bias, norm, activation, down=down)
            for width in (channels * 2**depth for depth in range(downsamplings))
        )
        width = channels * 2**downsamplings
        self.blocks = nn.ModuleList(ResidualBlock(width, norm, activation, bias, dropout) for _ in range(blocks))

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stem(image)
        for block in (*self.down, *self.blocks):
            x = block(x)
        return x

    def stages(self) -> list[Stage]:
        """Return the layers by name, for taps."""
        halvings = [stage for i, block in enumerate(self.down) for stage in cast(ConvBlock, block).stages(f"down.{i}")]
        channels = halvings[-1].channels
        residual = [Stage(f"blocks.{i}", block, channels) for i, block in enumerate(self.blocks)]
        return [padded_image(3, self.in_channels), *self.stem.stages("stem"), *halvings, *residual]


class ImageDecoder(nn.Module):
    """Decoder from features [B, 2^n·channels, H/2^n, W/2^n] to an image [B, out_channels, H, W] in [-1, 1].

    Args:
        channels: channels before the last convolution.
        norm: factory of the norms.
        activation: factory of the activations.
        bias: whether the convolutions of the doublings have a bias.
        upsample: how the sides are doubled; see `i2i.nn.layers.convolution.UpBlock`.
        upsamplings: n, number of doublings.
        up_kernel: kernel size of the convolutions with `nearest` and `pixel_shuffle`; odd.
        out_channels: channels of the image.
    """

    def __init__(
        self,
        channels: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
        bias: bool,
        upsample: Upsample,
        upsamplings: int = 2,
        up_kernel: int = 3,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        self.up = nn.ModuleList(
            UpBlock(2 * width, width, upsample, bias, norm, activation, up_kernel)
            for width in (channels * 2**depth for depth in reversed(range(upsamplings)))
        )
        self.head = Conv2d(channels, out_channels, 7, padding=3, bias=bias, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        for block in self.up:
            x = block(x)
        return torch.tanh(self.head(x))

    def stages(self) -> list[Stage]:
        """Return the layers before the last convolution by name, for taps."""
        return [stage for i, block in enumerate(self.up) for stage in cast(UpBlock, block).stages(f"up.{i}")]
