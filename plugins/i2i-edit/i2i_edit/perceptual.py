"""A perceptual distance over any feature extractor of i2i."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR

TAPS = ("bn1", "blocks.1", "blocks.2", "blocks.4")
"""Layers of the default network, tf_efficientnet_lite0, whose weights a package holds."""
SMALLEST = 64
"""Smaller images are enlarged to this side, since networks are trained on larger ones."""


class PerceptualDistance:
    """Mean squared distance of unit-length features at several layers, as LPIPS without calibrated heads.

    Args:
        features: factory of the frozen network.
        taps: names of its layers.
        device: of the network.

    Source: Zhang et al., CVPR 2018, arXiv:1801.03924.
    """

    def __init__(
        self,
        features: Factory[Any] = FEATURE_EXTRACTOR("timm"),  # builds nothing
        taps: tuple[str, ...] = TAPS,
        device: torch.device | str = "cpu",
    ) -> None:
        self.extractor: Any = features(taps)
        self.extractor.load_weights_()
        self.extractor.to(device)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return unit-length features of images [B, 3, H, W] in [-1, 1], by layer."""
        side = min(image.shape[2:])
        if side < SMALLEST:
            image = F.interpolate(image, scale_factor=SMALLEST / side, mode="bilinear", align_corners=False)
        return [F.normalize(x, dim=1) for x in self.extractor(image)]

    def __call__(self, image: Tensor, target: Tensor) -> Tensor:
        """Return distances [B] of images from targets."""
        return self.to(target)(image)

    def to(self, target: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the distance [B] from targets, whose features are computed once."""
        with torch.no_grad():
            wanted = self.features(target)

        def distance(image: Tensor) -> Tensor:
            pairs = zip(self.features(image), wanted, strict=True)
            return torch.stack([(x - y).square().sum(1).mean((1, 2)) for x, y in pairs]).mean(0)

        return distance
