"""Distances between what a frozen network sees in two images."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from i2i.contracts import FeatureExtractor
from i2i.factory import Factory
from i2i.functional.precision import widen
from i2i.kinds import FEATURE_EXTRACTOR
from i2i.layers.unsaved import Unsaved


class Content(nn.Module):
    r"""Content: :math:`\sum_t \mathbb{E}|f_t(x) - f_t(y)|`.

    Args:
        taps: layers whose features are compared.
        features: the frozen network.

    Source: Chen, Lai and Liu, CartoonGAN, CVPR 2018, equation 4.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("blocks.3.0.conv_pw",),
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__()
        self.features = Unsaved(cast(nn.Module, features(taps)))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return torch.stack([self.distance(widen(x), widen(y)) for x, y in self.pairs(prediction, target)]).sum()

    def pairs(self, prediction: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features of both images for each tap."""
        return list(zip(self.features(prediction), self.features(target), strict=True))

    def distance(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean absolute difference."""
        return (made - wanted).abs().mean()


class GramL1(Content):
    r"""Style: :math:`\sum_t \mathbb{E}|G_t(x) - G_t(y)|` with :math:`G = F F^\top / (C H W)`.

    Source: Chen, Liu and Chen, AnimeGAN, ISICA 2019, grayscale style loss.
    """

    def distance(self, made: Tensor, wanted: Tensor) -> Tensor:
        return (gram(made) - gram(wanted)).abs().mean()


def gram(features: Tensor) -> Tensor:
    """F Fᵀ / (C·H·W) [B, C, C] of features [B, C, H, W]."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])
