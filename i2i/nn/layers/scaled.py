"""An activation that keeps the variance of what it is given."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F


class ScaledLeakyReLU(nn.Module):
    r"""Leaky ReLU times :math:`\sqrt 2`, beside layers of equalized learning rate.

    Args:
        negative_slope: below 0.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958.

    Example:
        >>> import torch
        >>> ScaledLeakyReLU()(torch.tensor([1.0, -1.0]))
        tensor([ 1.4142, -0.2828])
    """

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope) * math.sqrt(2)
