"""The generator `twin_unet`: a growing encoder to 4x4 features, and a growing decoder with skip connections."""

from __future__ import annotations

import itertools
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor, nn

from i2i import Factory, GeneratorOutput, Norm
from i2i.core.bounds import height_width
from i2i.core.kinds import NORM
from i2i.methods.growth import LATENT, Growing, blend, doublings, downsample, upsample
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_twingan.blocks import SLOPE, DomainConv, DomainConvs, width


class Code(NamedTuple):
    """Output of the encoder.

    Args:
        latent: [B, C, 4, 4].
        skips: features before each downsampling, by their side.
    """

    latent: Tensor
    skips: dict[int, Tensor]


class TwinUnet(Growing, nn.Module):
    """Encodes and decodes images of two domains with shared convolutions and norms of each domain.

    It works at one size at a time, from `first_size` to `image_size`, set by `grow_`. All parameters exist from the
    start; those that a size does not need get no gradient.

    Encoder, at size S: 1x1 convolution to w(S) channels; down to 8 px two convolutions, w(s) and w(s/2) channels, and
    average pooling. Decoder: two convolutions at 4 px; at each further size nearest upsampling, concatenation with the
    encoder's features of this size, and two convolutions; finally a 1x1 convolution without activation.

    Args:
        channels: w(4) without the upper bound; halved with each doubling of the size.
        max_channels: upper bound of w.
        norm: norm of every convolution but the last, built for each domain.
        rgb_norm: norm of the last convolution, built for each domain; None for a bias.
        pixel_norm: whether a pixel norm follows every activation but the first.
        skips: largest size with a skip connection; None for all sizes.
        init: initialization of the convolutions' weights.
        condition: length of the condition vector that `decode` takes, set by the translator; 0 for none. It scales and
            shifts the features of each size by a linear layer, which starts at 0.
        condition_hidden: length of a hidden layer between the condition and these linear layers; 0 for none.
        first_size: smallest size, set by the translator's first stage.
        image_size: largest size.
        in_channels: channels of the images of both domains.

    Source: Li, TwinGAN, arXiv:1809.00946; Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, section 2.
    """

    def __init__(
        self,
        channels: Annotated[int, Ge(1)] = 1024,
        max_channels: Annotated[int, Ge(1)] = 256,
        norm: Factory[Norm] = NORM("renorm"),
        rgb_norm: Factory[Norm] | None = NORM("renorm"),
        pixel_norm: bool = True,
        skips: Annotated[int, Ge(0)] | None = None,
        init: Initialization = "normal",
        condition: Annotated[int, Ge(0)] = 0,
        condition_hidden: Annotated[int, Ge(0)] = 0,
        first_size: int = LATENT,
        image_size: int = 256,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.check(image_size, first_size)
        self.size, self.alpha, self.fixed_size = image_size, 1.0, height_width(image_size)
        self.skips = image_size if skips is None else skips
        sizes = doublings(LATENT, image_size)
        generated = doublings(first_size, image_size)
        w = {size: width(size, channels, max_channels) for size in sizes}

        def convs(*channels: int) -> DomainConvs:
            pairs = itertools.pairwise(channels)
            return DomainConvs(DomainConv(*pair, 3, norm, pixel_norm) for pair in pairs)

        self.from_rgb = nn.ModuleDict(
            {str(s): DomainConv(in_channels, w[s], 1, norm, pixel_norm=False) for s in generated}
        )
        self.down = nn.ModuleDict({str(s): convs(w[s], w[s], w[s // 2]) for s in sizes[1:]})
        self.base = convs(w[LATENT], w[LATENT], w[LATENT])
        self.up = nn.ModuleDict(
            {str(s): convs(w[s // 2] * (2 if s <= self.skips else 1), w[s], w[s]) for s in sizes[1:]}
        )
        self.to_rgb = nn.ModuleDict(
            {str(s): DomainConv(w[s], in_channels, 1, rgb_norm, active=False) for s in generated}
        )
        initialize(self, init, norms=False)
        if condition:
            hidden = condition_hidden or condition
            self.condition_features = (
                nn.Sequential(nn.Linear(condition, hidden), nn.LeakyReLU(SLOPE)) if condition_hidden else nn.Identity()
            )
            self.modulation = nn.ModuleDict({str(s): nn.Linear(hidden, 2 * w[s]) for s in sizes})
            for linear in self.modulation.values():
                nn.init.zeros_(linear.weight)  # type: ignore[arg-type]
                nn.init.zeros_(linear.bias)  # type: ignore[arg-type]

    def encode(self, image: Tensor, domain: str) -> Code:
        """Encode a domain's images [B, C, size, size] in [0, 1]."""
        size, skips = self.size, {}
        x = self.from_rgb[str(size)](image, domain)
        while size > LATENT:
            x = self.down[str(size)](x, domain)
            if size == self.size and self.alpha < 1:
                small: Tensor = self.from_rgb[str(size // 2)](downsample(image), domain)
                x = blend(upsample(small), x, self.alpha)
            if size <= self.skips:
                skips[size] = x
            x, size = downsample(x), size // 2
        return Code(x, skips)

    def decode(self, code: Code, domain: str, condition: Tensor | None = None) -> Tensor:
        """Decode codes to a domain's images [B, C, size, size], around [0, 1] but unbounded.

        Args:
            code: of the encoder.
            domain: of the images.
            condition: [B, n]; None for features as they are.
        """

        features = None if condition is None else self.condition_features(condition)

        def conditioned(x: Tensor, size: int) -> Tensor:
            if features is None:
                return x
            scale, shift = self.modulation[str(size)](features)[:, :, None, None].chunk(2, 1)
            return x * (1 + scale) + shift

        x, smaller = conditioned(self.base(code.latent, domain), LATENT), code.latent
        for size in doublings(LATENT, self.size)[1:]:
            smaller, x = x, upsample(x)
            x = torch.cat([x, code.skips[size]], 1) if size in code.skips else x
            x = conditioned(self.up[str(size)](x, domain), size)
        image: Tensor = self.to_rgb[str(self.size)](x, domain)
        if self.alpha < 1:
            image = blend(upsample(self.to_rgb[str(self.size // 2)](smaller, domain)), image, self.alpha)
        return image

    def forward(self, image: Tensor, source: str = "a", to: str = "b") -> GeneratorOutput:
        return GeneratorOutput(self.decode(self.encode(image, source), to))
