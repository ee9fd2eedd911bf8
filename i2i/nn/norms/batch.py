"""Batch norm."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Statistics = Literal["running", "batch"]


class BatchNorm(nn.BatchNorm2d):
    """Normalizes each channel over the batch and its pixels.

    Args:
        num_features: channels C of the features [B, C, H, W].
        momentum: how far the running statistics move towards each batch's.
        affine: learns a scale (from 1) and a shift (from 0) per channel.
        statistics: what normalizes at inference, the running statistics or those of the batch at hand. pix2pix takes
            the latter and translates one image at a time; the running ones are kept all the same.

    Source: Ioffe and Szegedy, ICML 2015, arXiv:1502.03167; at inference Isola et al., CVPR 2017, arXiv:1611.07004,
    section 3.3.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        statistics: Statistics = "running",
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum, affine=affine)
        self.mixes_samples = statistics == "batch"

    def forward(self, x: Tensor) -> Tensor:
        if self.training or not self.mixes_samples:
            return super().forward(x)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
