"""Layer norm over channels and pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from i2i.nn.functional.normalization import EpsOn, layer_norm


class LayerNorm(nn.Module):
    """Normalize each sample over channels and pixels; see `i2i.nn.functional.normalization.layer_norm`.

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: keeps the divisor from 0.
        affine: whether to learn a scale [C] and a shift [C], the latter initially 0.
        unbiased: divides the sum of squares by C·H·W - 1 instead of C·H·W; True in MUNIT.
        eps_on: adds eps to the variance (`var`) or to the standard deviation (`std`, as MUNIT).
        init: initial scale, 1 for `ones`, or drawn from U(0, 1) for `uniform`, as in MUNIT.

    Source: Ba et al., arXiv:1607.06450; Huang et al., MUNIT, arXiv:1804.04732, appendix B.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        affine: bool = True,
        unbiased: bool = False,
        eps_on: EpsOn = "var",
        init: Literal["ones", "uniform"] = "ones",
    ) -> None:
        super().__init__()
        self.eps, self.unbiased, self.eps_on = eps, unbiased, eps_on
        initial = torch.rand if init == "uniform" else torch.ones
        self.weight = nn.Parameter(initial(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.eps, self.unbiased, self.eps_on, self.weight, self.bias)
