"""SinCUT's generator: StyleGAN2's blocks without styles, from image to image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive
from i2i.core.contracts import GeneratorOutput
from i2i.nn.generators.blocks import check_image, check_image_size
from i2i.nn.layers.stages import IMAGE, Features, Stage, Tap, capture_features, tapped, tapped_channels
from i2i.nn.layers.stylegan2 import EqualizedConv2d, StyleConv, StyleResidual

SMALLEST = 8


class StyleGAN2Resnet(nn.Module):
    """Halving blocks of StyleGAN2's discriminator, residual blocks, doubling blocks of its generator without styles.

    A 1x1 convolution maps the image to features, another one maps features to the image, without an activation as
    StyleGAN2's "to RGB": values outside [-1, 1] are clipped when an image is written.

    Args:
        channels: channels at the image's size; doubled by each halving.
        max_channels: upper bound of the channels.
        halvings: number of blocks that halve the sides, and as many that double them.
        blocks: number of residual blocks between them.
        noise: whether the doubling blocks add noise in training.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, appendix on single-image translation: one halving block, six
    residual ones, one doubling block; StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958.
    """

    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 80,
        max_channels: Positive = 512,
        halvings: Positive = 1,
        blocks: Count = 6,
        noise: bool = True,
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.multiple = 2**halvings
        widths = [min(channels * 2**depth, max_channels) for depth in range(halvings + 1)]
        steps = list(pairwise(widths))
        self.from_image = StyleConv(in_channels, widths[0], 1)
        self.down = nn.ModuleList(StyleResidual(before, after, down=True) for before, after in steps)
        self.blocks = nn.ModuleList(StyleResidual(widths[-1], widths[-1]) for _ in range(blocks))
        self.up = nn.ModuleList(
            nn.Sequential(StyleConv(after, before, resize="up", noise=noise), StyleConv(before, before, noise=noise))
            for before, after in reversed(steps)
        )
        self.to_image = EqualizedConv2d(widths[0], out_channels, 1)

    @classmethod
    def check(cls, image_size: ImageSize, halvings: int) -> None:
        """Refuse an image size that cannot be halved so often."""
        check_image_size(image_size, 2**halvings, max(SMALLEST, 2**halvings))

    def forward(self, image: Tensor) -> GeneratorOutput:
        check_image(image, multiple=self.multiple, channels=self.in_channels)
        x = image
        for stage in self.stages():
            x = stage.layer(x)
        return GeneratorOutput(self.to_image(x))

    def features(self, image: Tensor, taps: Sequence[Tap]) -> tuple[Tensor, ...]:
        check_image(image, multiple=self.multiple, channels=self.in_channels)
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
        narrow = self.from_image.out_channels
        parts = [Stage(IMAGE, nn.Identity(), self.in_channels), Stage("from_image", self.from_image, narrow)]
        for name in ("down", "blocks"):
            layers = getattr(self, name)
            parts += [Stage(f"{name}.{i}", layer, layer.second.out_channels) for i, layer in enumerate(layers)]
        ups: list[Any] = list(self.up)
        parts += [Stage(f"up.{i}", layer, layer[-1].out_channels) for i, layer in enumerate(ups)]
        return parts
