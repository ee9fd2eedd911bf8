"""Distances between images, and between anything else of equal shape."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.functional.precision import widen


class L1(nn.Module):
    r"""Mean absolute difference, :math:`\mathbb{E}[|x - y|]`.

    Example:
        >>> import torch
        >>> L1()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(2.)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (widen(prediction) - target).abs().mean()


class L2(nn.Module):
    r"""Mean squared difference, :math:`\mathbb{E}[(x - y)^2]`.

    Example:
        >>> import torch
        >>> L2()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(5.)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (widen(prediction) - target).square().mean()
