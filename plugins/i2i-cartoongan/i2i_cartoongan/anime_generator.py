"""The generator `animegan2`: inverted residual blocks and bilinear upsampling."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Depth, ImageSize, Positive, height_width
from i2i.core.contracts import Activation, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_cartoongan.channels import ChannelOrder, reordered

SMALLEST = 8
"""Smallest side of an image: for less, the map at a quarter of it is too small for reflection padding."""


class AnimeGenerator(nn.Module):
    """AnimeGANv2's generator: two convolutions of stride 2, inverted residual blocks, two bilinear upsampling stages.

    Features are upsampled to the sizes that they were reduced from, so images may have any size from 8 px.

    Args:
        channels: channels after the first convolution; four times as many at the quarter size, sixteen in the blocks.
        blocks: number of inverted residual blocks.
        norm: norm after every convolution but the last.
        activation: activation after every norm but the blocks' last.
        align_corners: option of the interpolation; the released weights were trained with it.
        channel_order: order of the colour channels inside the network.
        init: initialization of the weights.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Chen, Liu and Chen, AnimeGAN, ISICA 2019; version 2 as in bryandlee/animegan2-pytorch 25d7b01.
    """

    multiple: ClassVar[int] = 1
    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 32,
        blocks: Depth = 4,
        norm: Factory[Norm] = NORM("gn", groups=1),
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        align_corners: bool = True,
        channel_order: ChannelOrder = "rgb",
        init: Initialization = "default",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.align_corners, self.channel_order, self.in_channels = align_corners, channel_order, in_channels

        def conv(in_factor: int, out_factor: int, kernel: int = 3, stride: int = 1) -> Convolution:
            return Convolution(channels * in_factor, channels * out_factor, norm, activation, kernel, stride)

        stem = Convolution(in_channels, channels, norm, activation, 7)
        inverted = [
            InvertedResidual(channels * (4 if index == 0 else 8), channels * 8, norm, activation)
            for index in range(blocks)
        ]
        self.to_half = nn.Sequential(stem, conv(1, 2, stride=2), conv(2, 2))
        self.to_quarter = nn.Sequential(conv(2, 4, stride=2), conv(4, 4))
        self.body = nn.Sequential(conv(4, 4), *inverted, conv(8, 4))
        self.at_half = nn.Sequential(conv(4, 4), conv(4, 4))
        self.at_full = nn.Sequential(conv(4, 2), conv(2, 2), conv(2, 1, 7))
        self.head = nn.Conv2d(channels, out_channels, 1, bias=False)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse images that are too small."""
        if (side := min(height_width(image_size))) < SMALLEST:
            raise OptionError("image_size", f"expected at least {SMALLEST}, got {side}")

    def forward(self, image: Tensor) -> GeneratorOutput:
        """Translate images [B, C, H, W] in [-1, 1]."""
        if image.ndim != 4 or image.shape[1] != self.in_channels or min(image.shape[2:]) < SMALLEST:
            raise ShapeError(
                f"generator: expected images [B, {self.in_channels}, H, W] with sides of at least {SMALLEST}, got "
                f"{list(image.shape)}"
            )
        half = self.to_half(reordered(image, self.channel_order))
        x = self._resized(self.body(self.to_quarter(half)), half)
        x = self._resized(self.at_half(x), image)
        return GeneratorOutput(reordered(torch.tanh(self.head(self.at_full(x))), self.channel_order))

    def _resized(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=self.align_corners)


class Convolution(nn.Module):
    """A convolution with reflection padding, a norm and an activation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm: norm after the convolution.
        activation: activation after the norm.
        kernel: size of the kernel, odd.
        stride: 1 or 2; with 2, only the right and the bottom are padded.
        depthwise: whether each channel has its own kernel and the convolution a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
        kernel: int = 3,
        stride: int = 1,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        start, end = (0, kernel // 2) if stride == 2 else (kernel // 2, kernel // 2)
        self.padding = (start, end, start, end)
        groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=depthwise)
        self.norm = norm(out_channels)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.padding, mode="reflect") if any(self.padding) else x
        return self.activation(self.norm(self.conv(padded)))


class InvertedResidual(nn.Module):
    """A 1x1 convolution that expands the channels, a depthwise 3x3 one, and a 1x1 one that projects them.

    The input is added to the output if both have the same number of channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm: norm after each convolution.
        activation: activation after the first two norms.
        expansion: channels inside the block as a multiple of the input's.

    Source: Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381, section 3.3, with these norms and activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
        expansion: int = 2,
    ) -> None:
        super().__init__()
        width = expansion * in_channels
        self.expand = Convolution(in_channels, width, norm, activation, 1)
        self.depthwise = Convolution(width, width, norm, activation, depthwise=True)
        self.project = nn.Conv2d(width, out_channels, 1, bias=False)
        self.norm = norm(out_channels)
        self.has_skip = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        residual = self.norm(self.project(self.depthwise(self.expand(x))))
        return x + residual if self.has_skip else residual
