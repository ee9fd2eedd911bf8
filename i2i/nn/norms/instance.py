"""Instance norm, plain and adaptive."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.nn.functional.normalization import EpsOn, instance_norm


class InstanceNorm(nn.Module):
    """Normalize each sample's channels over their pixels; see `i2i.nn.functional.normalization.instance_norm`.

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: keeps the divisor from 0.
        affine: whether to learn a scale [C], initially 1, and a shift [C], initially 0.
        unbiased: divides the sum of squares by H·W - 1 instead of H·W.
        eps_on: adds eps to the variance (`var`) or to the standard deviation (`std`).

    Source: Ulyanov et al., arXiv:1607.08022. The defaults are those of CycleGAN and of U-GAT-IT's encoder.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        affine: bool = False,
        unbiased: bool = False,
        eps_on: EpsOn = "var",
    ) -> None:
        super().__init__()
        self.eps, self.unbiased, self.eps_on = eps, unbiased, eps_on
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(x, self.eps, self.unbiased, self.eps_on, self.weight, self.bias)


class AdaptiveInstanceNorm(nn.Module):
    """Instance norm whose scale and shift [B, C] are inputs (AdaIN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: added to the variance.
        unbiased: divides the sum of squares by H·W - 1, as in style transfer; MUNIT's is biased.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 8; Huang et al., MUNIT, ECCV 2018,
    arXiv:1804.04732.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, unbiased: bool = False) -> None:
        super().__init__()
        self.num_features, self.eps, self.unbiased = num_features, eps, unbiased

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return instance_norm(x, self.eps, self.unbiased, gamma=gamma, beta=beta)
