"""Positional normalization: every pixel's features get mean 0 and variance 1 across channels."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn


class PONO(nn.Module):
    r"""Normalizes across channels at each position.

    .. math:: y_{bchw} = \gamma_c \frac{x_{bchw} - \mu_{bhw}}{\sqrt{\sigma^2_{bhw} + \epsilon}} + \beta_c

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: inside the square root.
        affine: learn gamma and beta.

    Source: Li et al., NeurIPS 2019, arXiv:1907.04312, equations 1 to 3, with an affine map as layer norm has.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(num_features)) if affine else None
        self.beta = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        y = (x - mean) * torch.rsqrt(variance + self.eps)
        if self.gamma is None or self.beta is None:
            return y
        return y * rearrange(self.gamma, "c -> c 1 1") + rearrange(self.beta, "c -> c 1 1")
