"""Criteria of kornia that assume images from 0 on, for images in [-1, 1].

`i2i.core.kinds.LOSS` gives these classes in place of kornia's for names such as `kornia.losses.SSIMLoss`. Each rescales
images [B, C, H, W] from [-1, 1] to [0, max_val] and leaves other inputs as they are; options are those of kornia.
"""

from __future__ import annotations

import kornia.losses
from torch import Tensor


def to_range(x: Tensor, max_val: float = 1.0) -> Tensor:
    """Rescale images [B, C, H, W], or volumes [B, C, D, H, W], from [-1, 1] to [0, max_val].

    Example:
        >>> import torch
        >>> to_range(torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    return (x + 1) * (max_val / 2) if x.ndim >= 4 and x.is_floating_point() else x


class SSIMLoss(kornia.losses.SSIMLoss):
    """Structural dissimilarity of images in [-1, 1]; see `kornia.losses.SSIMLoss`."""

    def forward(self, img1: Tensor, img2: Tensor) -> Tensor:
        return super().forward(to_range(img1, self.max_val), to_range(img2, self.max_val))


class SSIM3DLoss(kornia.losses.SSIM3DLoss):
    """Structural dissimilarity of volumes in [-1, 1]; see `kornia.losses.SSIM3DLoss`."""

    def forward(self, img1: Tensor, img2: Tensor) -> Tensor:
        return super().forward(to_range(img1, self.max_val), to_range(img2, self.max_val))


class MS_SSIMLoss(kornia.losses.MS_SSIMLoss):  # noqa: N801  # kornia's name
    """Multi-scale structural dissimilarity plus L1 of images in [-1, 1]; see `kornia.losses.MS_SSIMLoss`."""

    def forward(self, img1: Tensor, img2: Tensor) -> Tensor:
        return super().forward(to_range(img1, self.DR), to_range(img2, self.DR))


class PSNRLoss(kornia.losses.PSNRLoss):
    """Negative peak signal-to-noise ratio in decibels of images in [-1, 1]; see `kornia.losses.PSNRLoss`."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        return super().forward(to_range(image, self.max_val), to_range(target, self.max_val))


class InverseDepthSmoothnessLoss(kornia.losses.InverseDepthSmoothnessLoss):
    """Smoothness of an inverse depth guided by an image in [-1, 1]; see `kornia.losses.InverseDepthSmoothnessLoss`."""

    def forward(self, idepth: Tensor, image: Tensor) -> Tensor:
        return super().forward(idepth, to_range(image))
