"""GELU approximated by a sigmoid, which torch has not: torch's own approximation uses tanh."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SigmoidGELU(nn.Module):
    r"""The activation :math:`x \, \sigma(1.702 x)`, called QuickGELU in CLIP's code.

    Source: Hendrycks and Gimpel, arXiv:1606.08415, section 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)
