"""Layer norm over channels and pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.functional.normalization import EpsOn, layer_norm


class LayerNorm(nn.Module):
    """Normalizes each sample over channels and pixels; see `i2i.functional.normalization.layer_norm`.

    Args:
        num_features: channels C of the features [B, C, H, W].
        affine: learns a scale (from 1) and a shift (from 0) per channel.
        unbiased: divides the squares by C·H·W - 1.
        eps_on: adds eps to the variance or to the standard deviation; MUNIT's is unbiased, on the standard deviation.

    Source: Ba et al., arXiv:1607.06450.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        affine: bool = True,
        unbiased: bool = False,
        eps_on: EpsOn = "var",
    ) -> None:
        super().__init__()
        self.eps, self.unbiased, self.eps_on = eps, unbiased, eps_on
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.eps, self.unbiased, self.eps_on, self.weight, self.bias)
