"""Metrics of images against their ground truth, all for images [B, C, H, W] in [-1, 1]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from i2i.evaluation.feature_distances import Estimate, mean_with_interval


class PairwiseMetric(ABC):
    """Base of metrics that compare each image with its ground truth, and take the mean over images.

    A subclass implements `each`. `update` takes batches, `compute` gives the mean of all images so far, and a call
    `metric(image, target)` is the figure of one batch.
    """

    better: ClassVar[Literal["lower", "higher"]] = "lower"
    compares: ClassVar[Literal["pairs", "sets"]] = "pairs"
    needs_weights: ClassVar[bool] = False
    """Whether it loads a network, so that it is computed only where it is asked for."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []

    @abstractmethod
    def each(self, image: Tensor, target: Tensor) -> Tensor:
        """Compute the figure of each image, [B]."""

    def update(self, image: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            image: [B, C, H, W] in [-1, 1].
            target: of the same shape and range.
        """
        self._values += self.each(image, target).detach().cpu()

    def compute(self) -> Estimate:
        """Return the mean over all images since the construction, with a bootstrap interval over images."""
        return mean_with_interval(torch.stack(self._values))

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Return the mean over the images of one batch.

        Args:
            image: [B, C, H, W] in [-1, 1].
            target: of the same shape and range.
        """
        return float(self.each(image, target).mean())


class L1Distance(PairwiseMetric):
    """Mean absolute difference, of images scaled to [0, 1]; 0 is best."""

    def each(self, image: Tensor, target: Tensor) -> Tensor:
        return (image - target).abs().mean((1, 2, 3)) / 2


class PSNR(PairwiseMetric):
    r"""Peak signal-to-noise ratio in decibels; higher is better.

    .. math:: \frac{1}{B} \sum_b -10 \log_{10} \frac{1}{CHW} \sum_{chw} \left(\frac{x_{bchw} - y_{bchw}}{2}\right)^2

    It is the mean over images of the ratio of each, at most 100, which identical images have.
    """

    better = "higher"

    def each(self, image: Tensor, target: Tensor) -> Tensor:
        error = ((image - target) / 2).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
        return -10 * torch.log10(error)


class SSIM(PairwiseMetric):
    """Structural similarity with a Gaussian window of 11 pixels; 1 is best.

    Images must be at least 11 pixels high and wide. Source: Wang et al., IEEE TIP 2004; computed by kornia, whose
    figures differ from those of other libraries by up to some percent.
    """

    better = "higher"

    def each(self, image: Tensor, target: Tensor) -> Tensor:
        from kornia.metrics import ssim  # kornia takes seconds to import, and most runs compare nothing

        similarity: Tensor = ssim((image + 1) / 2, (target + 1) / 2, window_size=11)
        return similarity.mean((1, 2, 3))
