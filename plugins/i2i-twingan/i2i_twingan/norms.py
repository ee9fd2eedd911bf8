"""Two norms without statistics over pixels: across channels, and none but a scale and a shift."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from i2i.nn.functional.precision import upcast


class PixelNorm(nn.Module):
    r"""Gives the features of each pixel unit mean square: :math:`y = x / \sqrt{\mathrm{mean}_c(x^2) + \epsilon}`.

    Args:
        num_features: channels C of the features [B, C, H, W]; any number will do.
        eps: 1e-6 as in TwinGAN's code; PGGAN has 1e-8.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, section 4.2.

    Example:
        >>> PixelNorm(2, eps=0.0)(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten()
        tensor([0.8485, 1.1314])
    """

    def __init__(self, num_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = upcast(x)
        return (wide * torch.rsqrt(wide.square().mean(1, keepdim=True) + self.eps)).to(x.dtype)


class Affine(nn.Module):
    r"""A scale and a shift per channel, :math:`y = \gamma x + \beta`, and no statistics.

    What batch renormalization is once its statistics are constants; for the last layer of a network whose other norms
    look at one image alone, since an instance norm there would give all images the same mean colour.

    Args:
        num_features: channels C of the features [B, C, H, W].
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return x * rearrange(self.weight, "c -> c 1 1") + rearrange(self.bias, "c -> c 1 1")
