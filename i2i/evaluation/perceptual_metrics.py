"""Metrics of pairs that load a network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from i2i.evaluation import weights
from i2i.evaluation.pairwise import PairwiseMetric
from i2i.evaluation.perceptual import LPIPS, FeatureDistance


class LPIPSMetric(PairwiseMetric):
    """LPIPS of images and their ground truth; 0 is best.

    Args:
        net: `alex`, `vgg` or `squeeze`.
        path: file of the trunk's weights; that of `i2i weights add lpips-NET` when None.

    Raises:
        MissingWeightsError: there is no file.
    """

    needs_weights = True

    def __init__(self, net: Literal["alex", "vgg", "squeeze"] = "alex", path: Path | None = None) -> None:
        super().__init__()
        self.network = LPIPS(path or weights.find(f"lpips-{net}"), net)

    @torch.no_grad()
    def each(self, image: Tensor, target: Tensor) -> Tensor:
        return cast(Tensor, self.network(image, target))


class FeatureDistanceMetric(PairwiseMetric):
    """`FeatureDistance` of images and their ground truth, a stand-in for LPIPS with weights of a package; 0 is best.

    Args:
        model: network of timm whose weights a package contains.
    """

    needs_weights = True

    def __init__(self, model: str = "tf_efficientnet_lite0") -> None:
        super().__init__()
        self.network = FeatureDistance(model)

    def each(self, image: Tensor, target: Tensor) -> Tensor:
        return cast(Tensor, self.network(image, target))
