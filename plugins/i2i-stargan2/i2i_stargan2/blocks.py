"""Residual blocks of StarGAN v2: plain, with styles, and the trunk of discriminator and style encoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i import OptionError
from i2i.core.bounds import ImageSize, square_side
from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm
from i2i.nn.norms.instance import InstanceNorm

SLOPE = 0.2
"""Slope of the LeakyReLUs."""
SMALLEST = 16
"""Smallest legal side of the training images in pixels."""


def check_size(image_size: ImageSize) -> int:
    """Return the side of the training images, a power of two.

    Raises:
        OptionError: it is none.
    """
    side = square_side(image_size)
    if side < SMALLEST or side & (side - 1):
        raise OptionError("image_size", f"expected a power of two from {SMALLEST} on, got {side}")
    return side


class ResidualBlock(nn.Module):
    """Pre-activation residual block: the sum of shortcut and residual, divided by sqrt(2).

    Args:
        in_channels: channels of the input, and of the first convolution's output.
        out_channels: channels of the output.
        normalize: whether instance norms with scale and shift precede both activations.
        down: whether average pooling halves the sides.
    """

    def __init__(self, in_channels: int, out_channels: int, normalize: bool = False, down: bool = False) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = InstanceNorm(in_channels, affine=True) if normalize else None
        self.norm2 = InstanceNorm(in_channels, affine=True) if normalize else None
        changes = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = x if self.norm1 is None else self.norm1(x)
        x = self.conv1(F.leaky_relu(x, SLOPE))
        if self.down:
            shortcut, x = F.avg_pool2d(shortcut, 2), F.avg_pool2d(x, 2)
        x = x if self.norm2 is None else self.norm2(x)
        x = self.conv2(F.leaky_relu(x, SLOPE))
        return (shortcut + x) / math.sqrt(2)


class StyleNorm(nn.Module):
    """AdaIN: instance norm with a scale :math:`1 + \\gamma` and a shift that a linear layer computes from a style code.

    Args:
        num_features: channels C of the features [B, C, H, W].
        style_channels: length S of a style code.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865; Huang and Belongie, ICCV 2017, arXiv:1703.06868.
    """

    def __init__(self, num_features: int, style_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(style_channels, 2 * num_features)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.linear(style).chunk(2, dim=1)
        return instance_norm(x, gamma=1 + gamma, beta=beta)


class StyledBlock(nn.Module):
    """Residual block whose norms are AdaIN.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        style_channels: length S of a style code.
        up: whether the sides are doubled, by repeating pixels.
        residual: whether there are a shortcut and a division by sqrt(2); not next to high-pass connections.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style_channels: int, up: bool = False, residual: bool = True
    ) -> None:
        super().__init__()
        self.up, self.residual = up, residual
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm1 = StyleNorm(in_channels, style_channels)
        self.norm2 = StyleNorm(out_channels, style_channels)
        # The official code builds it, and initializes it, also where it is not used; checkpoints contain it.
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if in_channels != out_channels else None

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm1(x, style), SLOPE)
        y = self.conv1(F.interpolate(y, scale_factor=2, mode="nearest") if self.up else y)
        y = self.conv2(F.leaky_relu(self.norm2(y, style), SLOPE))
        if not self.residual:
            return y
        shortcut = F.interpolate(x, scale_factor=2, mode="nearest") if self.up else x
        shortcut = shortcut if self.shortcut is None else self.shortcut(shortcut)
        return (shortcut + y) / math.sqrt(2)


class Trunk(nn.Module):
    """Features of a whole image [B, C, S, S]: a convolution, residual blocks down to 4 px, and a 4x4 convolution.

    Args:
        image_size: side S of the images, a power of two.
        in_channels: channels C of the images.
        width: channels of the first convolution times S.
        max_channels: upper bound of the channels.
    """

    def __init__(self, image_size: int, in_channels: int, width: int, max_channels: int) -> None:
        super().__init__()
        self.image_size = image_size
        channels = first_channels(width, image_size, max_channels)
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        blocks = []
        for _ in range(int(math.log2(image_size)) - 2):
            after = min(2 * channels, max_channels)
            blocks.append(ResidualBlock(channels, after, down=True))
            channels = after
        self.blocks = nn.ModuleList(blocks)
        self.final = nn.Conv2d(channels, channels, 4)
        self.num_features = channels

    def forward(self, image: Tensor) -> Tensor:
        """Return the features [B, F, 1, 1] of images [B, C, S, S].

        Raises:
            ShapeError: the images have another size.
        """
        if image.shape[-2:] != (self.image_size, self.image_size):
            raise ShapeError(
                f"expected images of {self.image_size} x {self.image_size} pixels, got {list(image.shape)}"
            )
        x = self.stem(image)
        for block in self.blocks:
            x = block(x)
        x = self.final(F.leaky_relu(x, SLOPE))
        return F.leaky_relu(x, SLOPE)


def first_channels(width: int, image_size: int, max_channels: int) -> int:
    """Return the channels at the images' own size: `width / image_size`, 64 at 256 px for the official 2^14.

    Raises:
        OptionError: nothing is left.
    """
    if width < image_size:
        raise OptionError("width", f"expected at least the image's side, {image_size}, got {width}")
    return min(width // image_size, max_channels)


def select(values: Tensor, domain: Tensor) -> Tensor:
    """Return for each sample the values of its domain: [B, N, ...] and [B] to [B, ...].

    All of them are computed, and those that are not selected get a gradient of exactly 0, which weight decay adds to.
    """
    return values[torch.arange(len(domain), device=domain.device), domain]
