"""Batch norm."""

from __future__ import annotations

from torch import nn


class BatchNorm(nn.BatchNorm2d):
    """Normalizes each channel over the batch and its pixels; in eval mode by the running statistics.

    Args:
        num_features: channels C of the features [B, C, H, W].
        momentum: how far the running statistics move towards each batch's.
        affine: learns a scale (from 1) and a shift (from 0) per channel.

    Source: Ioffe and Szegedy, ICML 2015, arXiv:1502.03167.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum, affine=affine)
