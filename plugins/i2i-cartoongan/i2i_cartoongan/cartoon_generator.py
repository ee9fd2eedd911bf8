"""The generator `cartoongan`: a residual network with two convolutions at each change of size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from i2i.core.bounds import Depth, ImageSize, Positive
from i2i.core.contracts import Activation, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import MULTIPLE, ResidualBlock, check_image, check_image_size
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.stages import Stage, Tap, padded_image, tapped, tapped_channels
from i2i_cartoongan.channels import ChannelOrder, reordered


class CartoonGenerator(nn.Module):
    """CartoonGAN's generator: two downsampling stages, residual blocks, two upsampling stages.

    Each change of size is a strided or transposed convolution, directly followed by another convolution.

    Args:
        channels: channels after the first convolution; four times as many in the residual blocks.
        blocks: number of residual blocks.
        norm: norm; affine with an eps of 1e-9 for the released weights.
        activation: activation after each norm, except at the end of residual blocks.
        channel_order: order of the colour channels inside the network, `bgr` for the released weights; images outside
            are always RGB.
        init: initialization of the weights, which the paper does not describe.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Chen, Lai and Liu, CVPR 2018, figure 2; Yijunmaverick/CartoonGAN-Test-Pytorch-Torch e0414a3. The
    convolutions of the size changes have zero padding, all others reflection padding.
    """

    multiple: ClassVar[int] = MULTIPLE
    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 64,
        blocks: Depth = 8,
        norm: Factory[Norm] = NORM("in", affine=True, eps=1e-9),
        activation: Factory[Activation] = ACTIVATION("relu"),
        channel_order: ChannelOrder = "rgb",
        init: Initialization = "normal",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.channels, self.channel_order, self.in_channels = channels, channel_order, in_channels
        inner = 4 * channels
        self.stem = ConvBlock(in_channels, channels, 7, padding=3, norm=norm, activation=activation)
        self.down = nn.ModuleList(
            Resized(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width, norm, activation)
            for width in (channels, 2 * channels)
        )
        self.blocks = nn.ModuleList(ResidualBlock(inner, norm, activation, bias=True) for _ in range(blocks))
        self.up = nn.ModuleList(
            Resized(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), width, norm, activation)
            for width in (2 * channels, channels)
        )
        self.head = nn.Conv2d(channels, out_channels, 7, padding=3, padding_mode="reflect")
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse image sides that are no multiple of 4."""
        check_image_size(image_size)

    def forward(self, image: Tensor) -> GeneratorOutput:
        """Translate images [B, C, H, W] in [-1, 1]."""
        check_image(image, channels=self.in_channels)
        x: Tensor = self.stem(reordered(image, self.channel_order))
        for layer in (*self.down, *self.blocks, *self.up):
            x = layer(x)
        return GeneratorOutput(reordered(torch.tanh(self.head(x)), self.channel_order))

    def features(self, image: Tensor, taps: Sequence[Tap]) -> tuple[Tensor, ...]:
        """Return the features after layers, for methods that compare them, such as CUT."""
        check_image(image, channels=self.in_channels)
        return tapped(self.stages(), reordered(image, self.channel_order), taps)

    def tapped_channels(self, taps: Sequence[Tap]) -> tuple[int, ...]:
        return tapped_channels(self.stages(), taps)

    def stages(self) -> list[Stage]:
        """Return the layers by the names that `taps` can use."""
        groups = (
            ("down", self.down, (2, 4)),
            ("blocks", self.blocks, (4,) * len(self.blocks)),
            ("up", self.up, (2, 1)),
        )
        inner = [
            Stage(f"{name}.{index}", layer, self.channels * factor)
            for name, layers, factors in groups
            for index, (layer, factor) in enumerate(zip(layers, factors, strict=True))
        ]
        return [padded_image(3, self.in_channels), *self.stem.stages("stem"), *inner]


class Resized(nn.Module):
    """A convolution that changes the size, a 3x3 convolution, a norm and an activation.

    Args:
        resize: the convolution that changes the size.
        channels: its output channels.
        norm: norm after the second convolution.
        activation: activation after the norm.
    """

    def __init__(
        self,
        resize: nn.Conv2d | nn.ConvTranspose2d,
        channels: int,
        norm: Factory[Norm],
        activation: Factory[Activation],
    ) -> None:
        super().__init__()
        self.resize = resize
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = norm(channels)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(self.resize(x))))
