"""The decoder `mirror_decoder`: a mirrored VGG without norms."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.core.contracts import Activation, GeneratorOutput
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION
from i2i.errors import OptionError
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Conv2d


class MirrorDecoder(nn.Module):
    """Decodes an encoder's features with 3x3 convolutions and nearest upsampling.

    It has no norms, because they would remove the statistics that carry the style.

    Args:
        num_features: channels of the features.
        channels: channels at the image's size; doubled at each smaller one.
        convolutions: number of convolutions at each size, from the features' to the image's; features are upsampled
            by two between two sizes. The last convolution of a size reduces the channels; the last one of all returns
            the image, unbounded.
        activation: after each convolution except the last.
        init: initialization of the weights.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, section 6.1; naoto0804/pytorch-AdaIN, `decoder`, which the
    defaults give for relu4_1 of VGG19.
    """

    def __init__(
        self,
        num_features: int,
        channels: Positive = 64,
        convolutions: tuple[Positive, ...] = (1, 4, 2, 2),
        activation: Factory[Activation] = ACTIVATION("relu"),
        init: Initialization = "default",
    ) -> None:
        super().__init__()
        self.check(convolutions)
        layers: list[nn.Module] = []
        width, smallest = num_features, len(convolutions) - 1
        for level, count in enumerate(convolutions):
            if level > 0:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            narrowed = channels * 2 ** (smallest - 1 - level) if level < smallest else 3
            for out_channels in [width] * (count - 1) + [narrowed]:
                layers.append(Conv2d(width, out_channels, 3, padding=1, padding_mode="reflect"))
                layers.append(cast(nn.Module, activation()))
                width = out_channels
        self.layers = nn.Sequential(*layers[:-1])  # without the activation after the image
        initialize(self, init)

    @classmethod
    def check(cls, convolutions: tuple[int, ...]) -> None:
        """Refuse an empty tuple of convolutions."""
        if not convolutions:
            raise OptionError("convolutions", "expected how many there are at each size, such as [1, 4, 2, 2], got []")

    def forward(self, features: Tensor) -> GeneratorOutput:
        """Return images [B, 3, H, W] of features [B, num_features, h, w]."""
        return GeneratorOutput(self.layers(features))
