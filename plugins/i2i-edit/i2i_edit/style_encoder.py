"""An encoder from images to style vectors W+ of a frozen generator: the translator `style_encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Generator, Phase, Stream
from i2i.core.factory import Factory
from i2i.errors import I2IError, OptionError
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i.nn.functional.precision import to_like

IMAGE = "image"
FIRST_MEDIUM, FIRST_FINE = 3, 7
"""Numbers of the first style vectors that come from the medium and from the finest features of the pyramid."""


class PyramidEncoder(nn.Module):
    """Style vectors from a feature pyramid: coarse ones from small features, fine ones from large features.

    Args:
        size: side of the images in pixels.
        num_ws: number of style vectors.
        w_dim: length of a style vector.
        in_channels: channels of the images.
        channels: of the pyramid.

    Source: Lin et al., CVPR 2017, arXiv:1612.03144; as in EditGAN, arXiv:2111.03186, and pSp, arXiv:2008.00951.
    """

    def __init__(self, size: int, num_ws: int, w_dim: int, in_channels: int = 3, channels: int = 64) -> None:
        super().__init__()
        self.fixed_size = (size, size)
        self.stem = _layer(in_channels, channels // 2, 1)
        self.down = nn.ModuleList(_layer(channels // 2 if not i else channels, channels, 2) for i in range(3))
        self.lateral = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(2))
        # Sides of the features that coarse, medium and fine style vectors come from.
        self.sides = (size // 8, size // 4, size // 2)
        self.heads = nn.ModuleList(self._head(self.sides[self.level(i)], channels, w_dim) for i in range(num_ws))

    @staticmethod
    def level(index: int) -> int:
        """Return the level of a style vector's features: 0 for the smallest."""
        return (index >= FIRST_MEDIUM) + (index >= FIRST_FINE)

    @staticmethod
    def _head(side: int, channels: int, w_dim: int) -> nn.Module:
        halvings = max(side.bit_length() - 2, 0)
        layers = [_layer(channels, channels, 2) for _ in range(halvings)]
        rest = side // 2**halvings
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * rest**2, w_dim))

    def forward(self, image: Tensor) -> Tensor:
        """Return style vectors [B, num_ws, w_dim], relative to their mean."""
        large = self.down[0](self.stem(image))
        middle = self.down[1](large)
        small = self.down[2](middle)
        middle = F.interpolate(small, scale_factor=2, mode="bilinear") + self.lateral[0](middle)
        large = F.interpolate(middle, scale_factor=2, mode="bilinear") + self.lateral[1](large)
        levels = (small, middle, large)
        return torch.stack([head(levels[self.level(i)]) for i, head in enumerate(self.heads)], 1)


def _layer(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(min(8, outputs), outputs), nn.LeakyReLU(0.2)
    )


class EncoderOutputs(Outputs):
    """What the encoder is trained on: generated images with known style vectors, and images of the data."""

    translator: StyleEncoder

    @output(reuse="phase")
    def styles(self) -> dict[str, Tensor]:
        """Style vectors [B, num_ws, w_dim] of random codes."""
        generator = self.translator.generator
        image = self.batch.streams[IMAGE]
        z = self.randn("z", IMAGE, image, (len(image), generator.z_dim))
        with torch.no_grad():
            return {IMAGE: generator.mapping(z, None, update_average=False)}

    @output(reuse="phase")
    def generated(self) -> dict[str, Tensor]:
        """Images [B, C, H, W] of these style vectors."""
        with torch.no_grad():
            return {IMAGE: self.translator.synthesize(self.styles[IMAGE])}

    @output(reuse="phase")
    def found_styles(self) -> dict[str, Tensor]:
        """Style vectors that the encoder finds in generated images."""
        return {IMAGE: self.translator.encode(self.generated[IMAGE])}

    @output(reuse="phase")
    def regenerated(self) -> dict[str, Tensor]:
        """Images of the style vectors that the encoder finds in generated images."""
        return {IMAGE: self.translator.synthesize(self.found_styles[IMAGE])}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor] | None:
        """Images of the style vectors that the encoder finds in images of the data; None before `real_after`."""
        if self.batch.step < self.translator.real_after:
            return None
        return {IMAGE: self.translator.synthesize(self.translator.encode(self.batch.streams[IMAGE]))}


class StyleEncoder(i2i.Translator):
    """Trains an encoder from images to the style vectors of a frozen StyleGAN2, one vector for each layer.

    The generator has the options of its run, whose weights come by `train.init`.

    Args:
        generator: factory of the generator, with `mapping` and `synthesis`.
        channels: of the encoder's feature pyramid.
        real_after: number of steps after which images of the data are trained on, too.
        streams: specifications of the data's streams.

    Source: Ling et al., EditGAN, NeurIPS 2021, arXiv:2111.03186; nv-tlabs/editGAN_release fef9ab8.
    """

    Outputs = EncoderOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("encoder",))}
    generator_modules: ClassVar[tuple[str, ...]] = ()
    domains: tuple[str, ...] = (IMAGE,)
    required_streams: ClassVar[Mapping[str, str]] = {IMAGE: "image"}

    def __init__(
        self,
        generator: Factory[Generator],
        channels: Positive = 64,
        real_after: Count = 0,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        options = self.network_options(IMAGE, IMAGE)
        options.pop("num_classes", None)
        self.generator: Any = network(generator(**options)).requires_grad_(False)
        if not hasattr(self.generator, "mapping") or not hasattr(self.generator, "synthesis"):
            raise OptionError("generator", "expected one with a mapping and a synthesis network, such as stylegan2")
        self.real_after = real_after
        size = self.generator.synthesis.resolutions[-1]
        self.encoder = PyramidEncoder(
            size, self.generator.num_ws, self.generator.w_dim, self.streams[IMAGE].channels, channels
        )

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return (0, self.real_after) if self.real_after else (0,)

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator", "encoder")

    def encode(self, image: Tensor) -> Tensor:
        """Return style vectors [B, num_ws, w_dim] of images [B, C, H, W] in [-1, 1]."""
        return self.encoder(image) + to_like(self.generator.mapping.w_avg, image)

    def synthesize(self, ws: Tensor) -> Tensor:
        """Return images [B, C, H, W] of style vectors."""
        image: Tensor = self.generator.synthesis(ws, "const")
        return image

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        """Return images [B, C, H, W] in [-1, 1] of the style vectors of images."""
        if to != IMAGE:
            raise I2IError(f"this translator reconstructs images: expected the domain image, got {to!r}")
        return i2i.GeneratorOutput(self.synthesize(self.encode(image)).clamp(-1, 1))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return images and their reconstructions."""
        return {"input": {IMAGE: images[IMAGE]}, "reconstruction": {IMAGE: self.translate(images[IMAGE], IMAGE).image}}
