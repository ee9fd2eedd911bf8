"""Batch norm."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Statistics = Literal["running", "batch"]


class BatchNorm(nn.BatchNorm2d):
    """Normalize each channel over the batch and its pixels.

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: added to the variance.
        momentum: weight of each batch's statistics in the running ones, in [0, 1].
        affine: whether to learn a scale [C], initially 1, and a shift [C], initially 0.
        statistics: what normalizes at inference, the `running` statistics or those of the `batch` itself. pix2pix uses
            the latter and translates one image at a time; running ones are recorded all the same.

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
