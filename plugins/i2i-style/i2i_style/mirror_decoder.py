"""The way back from a frozen encoder's features to an image, without any norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.core.contracts import Activation, GeneratorOutput
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION
from i2i.errors import OptionError
from i2i.nn.layers.conv2d import Conv2d
from i2i.nn.layers.initialization import Initialization, initialize


class MirrorDecoder(nn.Module):
    """3x3 convolutions padded by reflection, with a doubling of repeated pixels between two sizes.

    It has no norm: statistics are what it is given a style by.

    Args:
        num_features: channels of the features.
        channels: at the image's size; twice as many at each smaller one.
        convolutions: at each size, from the features' to the image's: one doubling less than there are numbers. The
            last one of a size narrows; the last of all gives the image, without a bound.
        init: how the weights start.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, section 6.1; naoto0804/pytorch-AdaIN, `decoder`: the
    defaults on a VGG19's relu4_1.
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
        for before, after, doubles in _widths(num_features, channels, convolutions):
            layers += [nn.Upsample(scale_factor=2, mode="nearest")] if doubles else []
            layers.append(Conv2d(before, after, 3, padding=1, padding_mode="reflect"))
            layers.append(cast(nn.Module, activation()))
        self.layers = nn.Sequential(*layers[:-1])  # no activation after the image
        initialize(self, init)

    @classmethod
    def check(cls, convolutions: tuple[int, ...]) -> None:
        """At least one size."""
        if not convolutions:
            raise OptionError("convolutions", "expected how many there are at each size, such as [1, 4, 2, 2], got []")

    def forward(self, features: Tensor) -> GeneratorOutput:
        return GeneratorOutput(self.layers(features))


def _widths(num_features: int, channels: int, convolutions: tuple[int, ...]) -> Iterator[tuple[int, int, bool]]:
    """Channels before and after each convolution, and whether it follows a doubling."""
    width = num_features
    last = len(convolutions) - 1
    for size, count in enumerate(convolutions):
        for index in range(count):
            narrows = index == count - 1
            after = width if not narrows else 3 if size == last else channels * 2 ** (last - 1 - size)
            yield width, after, size > 0 and index == 0
            width = after
