"""The discriminator of single pixels."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.core.contracts import Activation, DiscriminatorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Conv2d


class Pixel(nn.Module):
    """Classify every pixel by its colour alone, by three 1x1 convolutions (PixelGAN).

    Args:
        channels: channels after the first convolution; doubled by the second.
        in_channels: channels of the image; 6 for a pair of images.
        norm: factory of the norm after the second convolution; None for none.
        bias: whether the last two convolutions have a bias; False with batch norm in pix2pix.
        activation: factory of the activations after every convolution but the last.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.

    Source: Isola et al., CVPR 2017, arXiv:1611.07004, appendix 6.1.2; junyanz/pytorch-CycleGAN-and-pix2pix,
    `PixelDiscriminator`.
    """

    def __init__(
        self,
        channels: Positive = 64,
        in_channels: Positive = 3,
        norm: Factory[Norm] | None = NORM("in"),
        bias: bool = True,
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        init: Initialization = "normal",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.blocks = nn.ModuleList(
            [
                ConvBlock(in_channels, channels, 1, activation=activation),
                ConvBlock(channels, 2 * channels, 1, bias=bias, norm=norm, activation=activation),
            ]
        )
        self.final = Conv2d(2 * channels, 1, 1, bias=bias)
        initialize(self, init)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ShapeError(
                f"pixel discriminator: expected images [B, {self.in_channels}, H, W], got {list(image.shape)}"
            )
        x = image
        for block in self.blocks:
            x = block(x)
        return DiscriminatorOutput({"patch": self.final(x)})
