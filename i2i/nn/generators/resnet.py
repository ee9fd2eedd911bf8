"""CycleGAN's generator: two halvings, residual blocks, two doublings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive
from i2i.core.contracts import Activation, Attention, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import MULTIPLE, Encoder, ImageDecoder, check_image, check_image_size
from i2i.nn.layers.convolution import Down, Upsample
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Padding
from i2i.nn.layers.stages import Features, Stage, Tap, capture_features, tapped, tapped_channels


class Resnet(nn.Module):
    """Residual network from image to image.

    Args:
        channels: channels after the first convolution; four times as many in the residual blocks.
        blocks: number of residual blocks; 9 in the paper for images of 256 px and more, 6 below.
        norm: factory of all norms.
        activation: factory of all activations.
        dropout: probability in the middle of each residual block, in [0, 1).
        upsample: how sides are doubled: `transposed`, `nearest`, `blur` (CUT) or `pixel_shuffle`.
        down: how sides are halved: `strided`, or `blur` (CUT).
        down_padding: padding mode of the convolutions of stride 2, `zeros` or `reflect`.
        bias: whether the convolutions have a bias; the last one always has.
        attention: factory of an attention on the features after the residual blocks; adds logits and a heat map.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Zhu et al., ICCV 2017, arXiv:1703.10593, appendix 7.2; junyanz/pytorch-CycleGAN-and-pix2pix,
    `ResnetGenerator`.
    """

    multiple: ClassVar[int] = MULTIPLE
    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 64,
        blocks: Count = 9,
        norm: Factory[Norm] = NORM("in"),
        activation: Factory[Activation] = ACTIVATION("relu"),
        dropout: float = 0.0,
        upsample: Upsample = "transposed",
        down: Down = "strided",
        down_padding: Padding = "zeros",
        bias: bool = True,
        attention: Factory[Attention] | None = None,
        init: Initialization = "normal",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.channels, self.dropout = channels, dropout
        self.encoder = Encoder(
            channels, blocks, norm, activation, bias, down_padding, dropout, down, in_channels=in_channels
        )
        self.attention = attention(4 * channels, activation=activation()) if attention is not None else None
        self.image_decoder = ImageDecoder(channels, norm, activation, bias, upsample, out_channels=out_channels)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse an image size that is no multiple of 4."""
        check_image_size(image_size)

    def forward(self, image: Tensor) -> GeneratorOutput:
        check_image(image, channels=self.encoder.in_channels)
        x: Tensor = self.encoder(image)
        if self.attention is None:
            return GeneratorOutput(self.image_decoder(x))
        attended = self.attention(x)
        return GeneratorOutput(self.image_decoder(attended.features), attended.logits, attended.heatmap)

    def features(self, image: Tensor, taps: Sequence[Tap]) -> tuple[Tensor, ...]:
        check_image(image, channels=self.encoder.in_channels)
        return tapped(self.stages(), image, taps)

    def capture_features(
        self, image: Tensor, taps: Sequence[Tap]
    ) -> AbstractContextManager[Callable[[], Features | None]]:
        """Capture the features of the call inside the context; see `i2i.nn.layers.stages.capture_features`."""
        return capture_features(self.stages(), image, taps)

    def tapped_channels(self, taps: Sequence[Tap]) -> tuple[int, ...]:
        return tapped_channels(self.stages(), taps)

    def stages(self) -> list[Stage]:
        """Return the layers, whose names or numbers `taps` may hold."""
        attention = [] if self.attention is None else [Stage("attention", self._attended, 4 * self.channels)]
        return [*self.encoder.stages(), *attention, *self.image_decoder.stages()]

    def _attended(self, x: Tensor) -> Tensor:
        assert self.attention is not None
        return self.attention(x).features
