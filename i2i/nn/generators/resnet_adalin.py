"""U-GAT-IT's generator: encoder, attention, and a decoder whose norms adapt to the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, cast

from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive, height_width
from i2i.core.contracts import Activation, AdaptiveNorm, Attention, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, ADAPTIVE_NORM, ATTENTION, NORM
from i2i.errors import OptionError
from i2i.nn.functional.pooling import pooled
from i2i.nn.generators.blocks import (
    MULTIPLE,
    AdaptiveResidualBlock,
    Encoder,
    ImageDecoder,
    ResidualBlock,
    check_image,
    check_image_size,
)
from i2i.nn.layers.convolution import Upsample
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.stages import Features, Tap, capture_features, tapped, tapped_channels


class Modulation(nn.Module):
    """Map features [B, C, H, W] to the gamma and beta [B, C] that all adaptive norms of a decoder share.

    Two linear layers with an activation each, then one for gamma and one for beta.

    Args:
        num_features: C.
        in_features: numbers per sample: C averages the map over its pixels, C·H·W uses all of them.
        activation: factory of the activation.
        bias: whether the linear layers have a bias.
    """

    def __init__(
        self, num_features: int, in_features: int, activation: Factory[Activation], bias: bool = False
    ) -> None:
        super().__init__()
        self.average = in_features == num_features
        self.first = nn.Linear(in_features, num_features, bias)
        self.second = nn.Linear(num_features, num_features, bias)
        self.activation = activation()
        self.gamma = nn.Linear(num_features, num_features, bias)
        self.beta = nn.Linear(num_features, num_features, bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = pooled(x, "average") if self.average else x.flatten(1)
        hidden = self.activation(self.second(self.activation(self.first(hidden))))
        return self.gamma(hidden), self.beta(hidden)


class ResnetAdaLIN(nn.Module):
    """Residual network from image to image with attention and adaptive norms.

    Args:
        channels: channels after the first convolution; four times as many, C, in the residual blocks.
        blocks: number of residual blocks before the attention, and as many after it.
        light: whether gamma and beta are computed from the features' average, which works for any image size.
            Otherwise they are computed from all pixels, by a layer that holds 96 % of the weights at 256 px and fixes
            the image size.
        norm: factory of the encoder's norms.
        decoder_norm: factory of the norms in the residual blocks after the attention. With a norm that is not
            adaptive, as in the paper's ablations, no gamma and beta are computed.
        upsample_norm: factory of the norms of the two doublings.
        attention: factory of the attention on the encoder's features; None for none, without logits and heat map.
        activation: factory of all activations.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        upsample: how sides are doubled; see `i2i.nn.layers.convolution.UpBlock`.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.
        image_size: side of the images, or their height and width, in pixels; required unless `light`.
        bias: whether all convolutions and linear layers have a bias, as in the official TensorFlow code.

    Raises:
        OptionError: the full network got no image size, or one that is no multiple of 4.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830; znxlwm/UGATIT-pytorch b8c4251; with other options
    taki0112/UGATIT d508e8f (recipe `ugatit_tf`).
    """

    multiple: ClassVar[int] = MULTIPLE

    def __init__(
        self,
        channels: Positive = 64,
        blocks: Count = 4,
        light: bool = False,
        norm: Factory[Norm] = NORM("in"),
        decoder_norm: Factory[AdaptiveNorm] | Factory[Norm] = ADAPTIVE_NORM("adalin"),
        upsample_norm: Factory[Norm] = NORM("iln"),
        attention: Factory[Attention] | None = ATTENTION("cam"),
        activation: Factory[Activation] = ACTIVATION("relu"),
        init: Initialization = "default",
        upsample: Upsample = "nearest",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
        image_size: ImageSize | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        width = 4 * channels
        adaptive = decoder_norm.kind == ADAPTIVE_NORM
        self.fixed_size = needed_size(image_size) if adaptive and not light else None
        self.encoder = Encoder(
            channels, blocks, norm, activation, bias, down_padding="reflect", in_channels=in_channels
        )
        self.attention = attention(width, activation=activation()) if attention is not None else None
        self.modulation = None
        if adaptive:
            pixels = 1 if self.fixed_size is None else math.prod(side // MULTIPLE for side in self.fixed_size)
            self.modulation = Modulation(width, width * pixels, activation, bias)
            adaptive_norm = cast(Factory[AdaptiveNorm], decoder_norm)
            self.decoder = nn.ModuleList(
                AdaptiveResidualBlock(width, adaptive_norm, activation, bias) for _ in range(blocks)
            )
        else:
            plain_norm = cast(Factory[Norm], decoder_norm)
            self.decoder = nn.ModuleList(ResidualBlock(width, plain_norm, activation, bias) for _ in range(blocks))
        self.image_decoder = ImageDecoder(
            channels, upsample_norm, activation, bias, upsample=upsample, out_channels=out_channels
        )
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse an image size that is no multiple of 4."""
        check_image_size(image_size)

    def forward(self, image: Tensor) -> GeneratorOutput:
        check_image(image, self.fixed_size, channels=self.encoder.in_channels)
        x: Tensor = self.encoder(image)
        logits = heatmap = None
        if self.attention is not None:
            x, logits, heatmap = self.attention(x)
        shared = () if self.modulation is None else self.modulation(x)
        for block in self.decoder:
            x = block(x, *shared)
        return GeneratorOutput(self.image_decoder(x), logits, heatmap)

    def features(self, image: Tensor, taps: Sequence[Tap]) -> tuple[Tensor, ...]:
        check_image(image, self.fixed_size, channels=self.encoder.in_channels)
        return tapped(self.encoder.stages(), image, taps)

    def capture_features(
        self, image: Tensor, taps: Sequence[Tap]
    ) -> AbstractContextManager[Callable[[], Features | None]]:
        """Capture the features of the call inside the context; see `i2i.nn.layers.stages.capture_features`."""
        return capture_features(self.encoder.stages(), image, taps)

    def tapped_channels(self, taps: Sequence[Tap]) -> tuple[int, ...]:
        return tapped_channels(self.encoder.stages(), taps)


def needed_size(image_size: ImageSize | None) -> tuple[int, int]:
    """Return the image size that a full decoder is built for.

    Args:
        image_size: as offered by the recipe.

    Raises:
        OptionError: it is None or no multiple of 4.
    """
    if image_size is None:
        raise OptionError(
            "image_size", "expected the side of the images, which the full generator needs; or set light = true"
        )
    check_image_size(image_size)
    return height_width(image_size)
