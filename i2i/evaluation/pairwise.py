"""Metrics of images against their ground truth, all for images [B, C, H, W] in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


class L1Distance:
    """Mean absolute difference, of images scaled to [0, 1]; 0 is best."""

    better = "lower"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Compares images with their ground truth.

        Args:
            image: [B, C, H, W] in [-1, 1].
            target: of the same shape and range.

        Returns:
            distance: over all pixels of all images, in [0, 1].
        """
        return float((image - target).abs().mean() / 2)


class PSNR:
    r"""Peak signal-to-noise ratio in decibels; higher is better.

    .. math:: \frac{1}{B} \sum_b -10 \log_{10} \frac{1}{CHW} \sum_{chw} \left(\frac{x_{bchw} - y_{bchw}}{2}\right)^2
    """

    better = "higher"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Compares images with their ground truth.

        Args:
            image: [B, C, H, W] in [-1, 1].
            target: of the same shape and range.

        Returns:
            ratio: mean over images of the ratio of each; at most 100, which identical images have.
        """
        error = ((image - target) / 2).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
        return float((-10 * torch.log10(error)).mean())


class SSIM:
    """Structural similarity with a Gaussian window of 11 pixels; 1 is best.

    Source: Wang et al., IEEE TIP 2004; computed by kornia.
    """

    better = "higher"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Compares images with their ground truth.

        Args:
            image: [B, C, H, W] in [-1, 1], at least 11 pixels high and wide.
            target: of the same shape and range.

        Returns:
            similarity: mean over all windows of all images, in [-1, 1].
        """
        from kornia.metrics import ssim  # kornia takes seconds to import, and most runs compare nothing

        return float(ssim((image + 1) / 2, (target + 1) / 2, window_size=11).mean())
