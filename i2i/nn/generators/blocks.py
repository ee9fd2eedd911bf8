"""What the residual generators share: the size check, residual blocks, the encoder and the way back to an image."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Activation, AdaptiveNorm, Norm
from i2i.core.factory import Factory
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import Conv2d, ConvBlock, Down, Padding, UpBlock, Upsample
from i2i.nn.layers.stages import Stage, padded_image

MULTIPLE = 4
"""Two halvings and two doublings: other sides would come back larger than they went in."""
SMALLEST = 8
"""Below, the residual blocks' maps would be too small to pad by reflection and to normalize."""


def check_image_size(image_size: int, multiple: int = MULTIPLE, smallest: int = SMALLEST) -> None:
    """Refuses an image side that the generators here cannot take.

    Raises:
        OptionError: names the nearest legal sides.
    """
    if image_size % multiple or image_size < smallest:
        below = max(smallest, image_size // multiple * multiple)
        nearest = str(below) if image_size < smallest else f"{below} or {below + multiple}"
        raise OptionError(
            "image_size", f"expected a multiple of {multiple}, at least {smallest}, got {image_size}; try {nearest}"
        )


def check_image(
    image: Tensor, fixed_size: int | None = None, multiple: int = MULTIPLE, smallest: int = SMALLEST
) -> None:
    """Refuses a batch of images that the generators here cannot take.

    Args:
        image: [B, 3, H, W].
        fixed_size: the only side that is legal, if not every multiple is.

    Raises:
        ShapeError: says what was expected and what came.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ShapeError(f"generator: expected images [B, 3, H, W], got {list(image.shape)}")
    height, width = image.shape[2:]
    if fixed_size is not None and (height, width) != (fixed_size, fixed_size):
        raise ShapeError(
            f"generator: expected images of {fixed_size} x {fixed_size}, the size it was built for, "
            f"got {height} x {width}; only light = true, or a decoder_norm that is not adaptive, takes any size"
        )
    if height % multiple or width % multiple or min(height, width) < smallest:
        raise ShapeError(
            f"generator: expected sides that are multiples of {multiple} and at least {smallest}, "
            f"got {height} x {width}"
        )


class ResidualBlock(nn.Module):
    """`x + norm(conv(dropout(act(norm(conv(x))))))`, with 3x3 convolutions padded by reflection."""

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
        hidden = self.first(x)
        hidden = hidden if self.dropout is None else self.dropout(hidden)
        residual: Tensor = x + self.second(hidden)
        return residual


class AdaptiveConvBlock(nn.Module):
    """A 3x3 convolution padded by reflection, then an adaptive norm."""

    def __init__(self, channels: int, norm: Factory[AdaptiveNorm], bias: bool = False) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1, bias=bias, padding_mode="reflect")
        self.norm = norm(channels)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return self.norm(self.conv(x), gamma, beta)


class AdaptiveResidualBlock(nn.Module):
    """A residual block whose two norms take scale and shift from outside."""

    recomputable: ClassVar[bool] = True

    def __init__(
        self, channels: int, norm: Factory[AdaptiveNorm], activation: Factory[Activation], bias: bool = False
    ) -> None:
        super().__init__()
        self.first = AdaptiveConvBlock(channels, norm, bias)
        self.activation = activation()
        self.second = AdaptiveConvBlock(channels, norm, bias)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor, *second: Tensor) -> Tensor:
        """The block's features.

        Args:
            gamma, beta: [B, C].
            second: gamma and beta of the second norm; those of the first where they are not given.
        """
        hidden = self.activation(self.first(x, gamma, beta))
        residual: Tensor = x + self.second(hidden, *(second or (gamma, beta)))
        return residual


class Encoder(nn.Module):
    """An image [B, 3, H, W] to features [B, 4·channels, H/4, W/4].

    Args:
        channels: after the first convolution; doubled by each one of stride 2.
        blocks: residual blocks at the smallest size.
        down_padding: how the convolutions of stride 2 are padded.
        down: whether those convolutions halve the sides, or a blur after them.
        downsamplings: how many there are of those; H/4 stands for two.
        down_kernel: their kernel, 3 or 4.
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
    ) -> None:
        super().__init__()
        self.stem = ConvBlock(3, channels, 7, padding=3, bias=bias, norm=norm, activation=activation)
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
        """The layers by name, for taps."""
        halvings = [stage for i, block in enumerate(self.down) for stage in cast(ConvBlock, block).stages(f"down.{i}")]
        channels = halvings[-1].channels
        residual = [Stage(f"blocks.{i}", block, channels) for i, block in enumerate(self.blocks)]
        return [padded_image(3), *self.stem.stages("stem"), *halvings, *residual]


class ImageDecoder(nn.Module):
    """Features [B, 4·channels, H/4, W/4] to an image [B, 3, H, W] in [-1, 1].

    Args:
        upsamplings: how often sides are doubled; H/4 stands for two.
        up_kernel: of the convolutions after `nearest`.
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
    ) -> None:
        super().__init__()
        self.up = nn.ModuleList(
            UpBlock(2 * width, width, upsample, bias, norm, activation, up_kernel)
            for width in (channels * 2**depth for depth in reversed(range(upsamplings)))
        )
        self.head = Conv2d(channels, 3, 7, padding=3, bias=bias, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        for block in self.up:
            x = block(x)
        return torch.tanh(self.head(x))

    def stages(self) -> list[Stage]:
        """The layers before the last one by name, for taps."""
        return [stage for i, block in enumerate(self.up) for stage in cast(UpBlock, block).stages(f"up.{i}")]
