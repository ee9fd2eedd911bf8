"""The discriminator of Projected GAN: small networks on the mixed features of a frozen one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.contracts import DiscriminatorOutput, FeatureExtractor
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.frozen import Frozen
from i2i.nn.layers.spectral import SpectralConv2d

LAST = 8
"""Nominal side of the features that the last convolution of each scale takes."""
WIDTHS = {128: 64, 64: 64, 32: 128, 16: 256, 8: 512, 4: 512}
"""Channels at a nominal side of the features."""
TAPS = ("blocks.1", "blocks.2", "blocks.4", "blocks.6")


class Mixing(nn.Module):
    """Fixed random mixing of features across channels and scales (CCM and CSM).

    1x1 convolutions bring the scales to `width`, 2·`width`, ... channels. From the coarsest scale up, the result so far
    is added, doubled bilinearly and mixed by a further 1x1 convolution. The weights are drawn once and not trained.

    Args:
        num_features: channels of each scale, the finest first; each scale has half the sides of the one before it.
        width: channels of the finest scale.

    Source: Sauer et al., NeurIPS 2021, arXiv:2111.01007, sections 3.2 and 4.2.
    """

    def __init__(self, num_features: tuple[int, ...], width: int) -> None:
        super().__init__()
        wide = [width * 2**scale for scale in range(len(num_features))]
        self.num_features = tuple(max(width, channels // 2) for channels in wide)
        self.channels = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(num_features, wide, strict=True))
        self.scales = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(wide, self.num_features, strict=True))
        self.requires_grad_(False)

    def forward(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the mixed features [B, C, 2h, 2w] of each scale [B, F, h, w], the finest first."""
        mixed: list[Tensor] = []
        for feature, channels, scale in reversed(list(zip(features, self.channels, self.scales, strict=True))):
            x = channels(feature)
            if mixed:
                x = mixed[0] + x
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            mixed.insert(0, scale(x))
        return mixed


class SeparableConv2d(nn.Module):
    """3x3 convolution of each channel, then a 1x1 convolution across them, both with spectral norm and without bias.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', H, W].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = SpectralConv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = SpectralConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.pointwise(self.depthwise(x)))


class ScaleDiscriminator(nn.Module):
    """Convolutions that halve the sides, with batch norm, then a 4x4 convolution to logits.

    Args:
        in_channels: channels of the features.
        side: their nominal side, which decides the number of halvings: down to 8.
        channels: channels after each halving; None for those of the paper's code.
        separable: whether to halve by separable convolutions and average pooling instead of 4x4 convolutions.
    """

    def __init__(self, in_channels: int, side: int, channels: int | None, separable: bool) -> None:
        super().__init__()
        sides = [side]
        while sides[-1] > LAST:
            sides.append(sides[-1] // 2)
        widths = [in_channels, *(channels or WIDTHS[smaller] for smaller in sides[1:])]
        self.blocks = nn.ModuleList()
        for before, after in pairwise(widths):
            convolution: nn.Module
            if separable:
                convolution = SeparableConv2d(before, after)
            else:
                convolution = SpectralConv2d(before, after, 4, stride=2, padding=1)
            pool: list[nn.Module] = [nn.AvgPool2d(2)] if separable else []
            self.blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(after), nn.LeakyReLU(0.2), *pool))
        self.final = SpectralConv2d(widths[-1], 1, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.final(x)).flatten(1)


class Projected(nn.Module):
    """Discriminate by the features of a frozen pretrained network (Projected GAN).

    The features of each scale are mixed by fixed random convolutions (`Mixing`), and a small network classifies those
    of each scale. Only these small networks are trained. Their logits are one head, so that a loss averages over all
    logits of all scales, as in the paper's code.

    The pretrained network is not saved in checkpoints. To continue a run its weights are needed again.

    Args:
        features: factory of the frozen network. Metrics that use the same network flatter the results.
        taps: names of its layers, the finest first; each has half the sides of the one before it.
        width: channels of the finest mixed features.
        channels: channels inside the small networks; None for those of the paper's code.
        separable: whether the small networks consist of separable convolutions.
        scales: number of small networks, for the finest scales; None for one on each scale.
        resize: side in pixels to which smaller images are resized before the network; None to leave all as they are.
        nominal_size: image size that decides the depth of the small networks: 256 in the paper for every data set. A
            smaller one suits images that are not resized.
        in_channels: channels of the images.
        image_size: side of the images, or their height and width, in pixels, by which is decided whether to resize.

    Source: Sauer et al., NeurIPS 2021, arXiv:2111.01007; autonomousvision/projected-gan e1c246b.
    """

    def __init__(
        self,
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
        taps: tuple[str, ...] = TAPS,
        width: Positive = 64,
        channels: Positive | None = None,
        separable: bool = False,
        scales: Positive | None = None,
        resize: Positive | None = 224,
        nominal_size: Literal[32, 64, 128, 256] = 256,
        in_channels: Positive = 3,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__()
        if image_size is not None:
            self.check(taps, resize, nominal_size, in_channels, image_size)
        extractor = features(taps)
        self.features = Frozen(cast(nn.Module, extractor))
        self.mixing = Mixing(extractor.num_features, width)
        self.scales = nn.ModuleList(
            ScaleDiscriminator(mixed, nominal_size // 2 ** (scale + 1), channels, separable)
            for scale, mixed in enumerate(self.mixing.num_features[:scales])
        )
        self.resize, self.nominal_size, self.in_channels = resize, nominal_size, in_channels

    @classmethod
    def check(
        cls,
        taps: tuple[str, ...],
        resize: int | None,
        nominal_size: int,
        in_channels: int,
        image_size: ImageSize,
    ) -> None:
        """Refuse images that leave no logits, and more scales than there are.

        Raises:
            OptionError: names the option and what would fit.
        """
        if not 1 <= len(taps) <= 4:
            raise OptionError("taps", f"expected 1 to 4 layers, the finest first, got {len(taps)}")
        if in_channels != 3:
            raise OptionError("in_channels", f"expected 3, as pretrained networks take RGB images, got {in_channels}")
        height, width = height_width(image_size)
        if resize is not None and min(height, width) < resize:
            height = width = resize
        if min(height, width) < nominal_size // 2:
            raise OptionError(
                "nominal_size",
                f"{nominal_size} needs images of at least {nominal_size // 2} px, got {min(height, width)} px; "
                f"choose a smaller nominal_size, or resize = {nominal_size}",
            )
        coarsest = 2 ** (len(taps) + 1)
        if height % coarsest or width % coarsest:
            raise OptionError(
                "resize",
                f"expected sides that are multiples of {coarsest} for {len(taps)} taps, got {height} x {width}",
            )

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Return the logits of all scales, the finest first, [B, 1, 1, n], as the head `patch`."""
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ShapeError(f"projected: expected images [B, {self.in_channels}, H, W], got {list(image.shape)}")
        if self.resize is not None and min(image.shape[2:]) < self.resize:
            size = (self.resize, self.resize)
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        features: Any = self.features(image)
        logits = [scale(x) for scale, x in zip(self.scales, self.mixing(features), strict=False)]
        return DiscriminatorOutput({"patch": torch.cat(logits, dim=1)[:, None, None, :]})
