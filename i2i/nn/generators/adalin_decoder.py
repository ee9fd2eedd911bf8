"""NICE-GAN's generator: U-GAT-IT's decoder, on the features of a discriminator's encoder."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive, describe_size
from i2i.core.contracts import Activation, AdaptiveNorm, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, ADAPTIVE_NORM, NORM
from i2i.errors import ShapeError
from i2i.nn.generators.blocks import MULTIPLE, AdaptiveResidualBlock, ImageDecoder, check_image_size
from i2i.nn.generators.resnet_adalin import Modulation, needed_size
from i2i.nn.layers.convolution import ConvBlock, Upsample
from i2i.nn.layers.initialization import Initialization, initialize

SOFTMAX_ILN = NORM("iln", mix="softmax")


class AdaLINDecoder(nn.Module):
    """Decoder from features [B, F, H/4, W/4] to an image [B, 3, H, W]: adaptive residual blocks and two doublings.

    Args:
        num_features: F, the encoder's channels.
        channels: channels before the last convolution; four times as many in the residual blocks.
        blocks: number of residual blocks.
        light: whether gamma and beta are computed from the features' average, which works for any image size.
            Otherwise they are computed from all pixels, by a layer that holds 97 % of the weights at 256 px and fixes
            the image size.
        norm: factory of the norms after the first convolution and in the two doublings.
        decoder_norm: factory of the residual blocks' norms.
        activation: factory of all activations.
        upsample: how sides are doubled; see `i2i.nn.layers.convolution.UpBlock`.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        out_channels: channels of the generated images.
        image_size: side of the images, or their height and width, in pixels; required unless `light`.

    Raises:
        OptionError: the full network got no image size, or one that is no multiple of 4.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273; alpc91/NICE-GAN-pytorch 1b114f1.
    """

    multiple: ClassVar[int] = MULTIPLE

    def __init__(
        self,
        num_features: int,
        channels: Positive = 64,
        blocks: Count = 6,
        light: bool = False,
        norm: Factory[Norm] = SOFTMAX_ILN,
        decoder_norm: Factory[AdaptiveNorm] = ADAPTIVE_NORM("adalin", mix="softmax"),
        activation: Factory[Activation] = ACTIVATION("relu"),
        upsample: Upsample = "pixel_shuffle",
        init: Initialization = "default",
        out_channels: Positive = 3,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__()
        width = 4 * channels
        self.num_features = num_features
        self.fixed_size = None if light else needed_size(image_size)
        pixels = 1 if self.fixed_size is None else math.prod(side // MULTIPLE for side in self.fixed_size)
        self.stem = ConvBlock(num_features, width, 3, padding=1, norm=norm, activation=activation)
        self.modulation = Modulation(width, width * pixels, activation)
        self.decoder = nn.ModuleList(AdaptiveResidualBlock(width, decoder_norm, activation) for _ in range(blocks))
        self.image_decoder = ImageDecoder(
            channels, norm, activation, bias=False, upsample=upsample, out_channels=out_channels
        )
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse an image size that is no multiple of 4."""
        check_image_size(image_size)

    def forward(self, features: Tensor) -> GeneratorOutput:
        self._check(features)
        x: Tensor = self.stem(features)
        gamma, beta = self.modulation(x)
        for block in self.decoder:
            x = block(x, gamma, beta)
        return GeneratorOutput(self.image_decoder(x))

    def _check(self, features: Tensor) -> None:
        if features.ndim != 4 or features.shape[1] != self.num_features:
            raise ShapeError(f"decoder: expected features [B, {self.num_features}, H, W], got {list(features.shape)}")
        height, width = features.shape[2:]
        if self.fixed_size is None:
            return
        expected = tuple(side // MULTIPLE for side in self.fixed_size)
        if (height, width) != expected:
            raise ShapeError(
                f"decoder: expected features of {expected[0]} x {expected[1]} for images of "
                f"{describe_size(self.fixed_size)} px, the size it was built for, got {height} x {width}; only "
                f"light = true takes any size"
            )
