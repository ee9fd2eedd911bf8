"""Metrics of an image against its true counterpart, all of images [B, 3, H, W] in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


class L1Distance:
    """Mean absolute difference of images in [0, 1]; 0 is best."""

    better = "lower"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Over all pixels of all images."""
        return float((image - target).abs().mean() / 2)


class PSNR:
    """Peak signal-to-noise ratio in decibels, averaged over images; higher is better."""

    better = "higher"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Each image's error counts on its own, so that one bad image cannot hide the others."""
        error = ((image - target) / 2).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
        return float((-10 * torch.log10(error)).mean())


class SSIM:
    """Structural similarity with an 11-pixel Gaussian window; 1 is best.

    Source: Wang et al., IEEE TIP 2004; computed by kornia.
    """

    better = "higher"

    def __call__(self, image: Tensor, target: Tensor) -> float:
        """Mean over all windows of all images."""
        from kornia.metrics import ssim  # kornia takes seconds to import, and most runs compare nothing

        return float(ssim((image + 1) / 2, (target + 1) / 2, window_size=11).mean())
