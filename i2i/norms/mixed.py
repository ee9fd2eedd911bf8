"""Learned mixes of instance norm and layer norm: ILN, and AdaLIN whose scale and shift come from outside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.functional.normalization import layer_instance_norm


class InstanceLayerNorm(nn.Module):
    """A mix of instance norm and layer norm by a learned rho per channel, with a learned scale and shift (ILN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: where every channel's rho starts; 0 is layer norm, 1 is instance norm.
        unbiased: both variances; the official PyTorch code's are, its TensorFlow code's are not.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830; znxlwm/UGATIT-pytorch b8c4251.
    """

    def __init__(self, num_features: int, rho: float = 0.0, eps: float = 1e-5, unbiased: bool = True) -> None:
        super().__init__()
        self.eps, self.unbiased = eps, unbiased
        self.rho = nn.Parameter(torch.full((num_features,), float(rho)))
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, self.eps, self.unbiased, self.gamma, self.beta)

    @torch.no_grad()
    def constrain_(self) -> None:
        """Clamps rho to [0, 1]; due after each optimizer step."""
        self.rho.clamp_(0, 1)


class AdaptiveLayerInstanceNorm(nn.Module):
    """A mix of instance norm and layer norm by a learned rho per channel; scale and shift come from outside (AdaLIN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: where every channel's rho starts; 0.9 is near instance norm.
        unbiased: both variances; the official PyTorch code's are, its TensorFlow code's are not.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, equation 1; znxlwm/UGATIT-pytorch b8c4251.
    """

    def __init__(self, num_features: int, rho: float = 0.9, eps: float = 1e-5, unbiased: bool = True) -> None:
        super().__init__()
        self.eps, self.unbiased = eps, unbiased
        self.rho = nn.Parameter(torch.full((num_features,), float(rho)))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return layer_instance_norm(x, self.rho, self.eps, self.unbiased, gamma, beta)

    @torch.no_grad()
    def constrain_(self) -> None:
        """Clamps rho to [0, 1]; due after each optimizer step."""
        self.rho.clamp_(0, 1)
