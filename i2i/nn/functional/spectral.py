"""Spectral norm of a weight by power iteration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from i2i.nn.functional.precision import without_autocast


@torch.no_grad()
def power_iteration(weight: Tensor, u: Tensor, eps: float = 1e-12) -> tuple[Tensor, Tensor]:
    r"""One step towards the first singular vectors of a weight.

    .. math:: v = W^\top u / \lVert W^\top u \rVert, \quad u' = W v / \lVert W v \rVert

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        u: [n], the left vector of the step before.
        eps: norms below it are taken for it.

    Returns:
        u' [n] and v [m], new tensors without gradient.

    Source: Miyato et al., Spectral Normalization, ICLR 2018, arXiv:1802.05957, algorithm 1, in the order of
    `torch.nn.utils.spectral_norm` (v first).

    Example:
        >>> weight = torch.diag(torch.tensor([3.0, 1.0]))
        >>> u, v = power_iteration(weight, torch.tensor([1.0, 0.0]))
        >>> u, v
        (tensor([1., 0.]), tensor([1., 0.]))
    """
    with without_autocast(weight):  # one rounded to half precision drifts over the steps
        matrix = weight.flatten(1)
        v = F.normalize(torch.mv(matrix.t(), u), dim=0, eps=eps)
        return F.normalize(torch.mv(matrix, v), dim=0, eps=eps), v


def spectral_normalize(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""Divides a weight by its spectral norm as the vectors see it.

    .. math:: \hat W = W / \sigma, \quad \sigma = u^\top W v

    The gradient passes through sigma to the weight, not to the vectors.

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        u, v: [n] and [m], of `power_iteration`.

    Returns:
        A weight of the same shape.

    Source: Miyato et al., arXiv:1802.05957, equation 8.

    Example:
        >>> spectral_normalize(torch.tensor([[2.0, 0.0]]), torch.tensor([1.0]), torch.tensor([1.0, 0.0]))
        tensor([[1., 0.]])
    """
    with without_autocast(weight):
        return weight / spectral_norm(weight, (u, v))


def spectral_norm(weight: Tensor, *vectors: tuple[Tensor, Tensor]) -> Tensor:
    r"""The spectral norm of a weight as pairs of vectors see it, :math:`\sigma = u^\top W v`; the gradient passes to W.

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        vectors: pairs of u [n] and v [m].

    Returns:
        One norm for each pair.

    Example:
        >>> spectral_norm(torch.tensor([[2.0, 0.0]]), (torch.tensor([1.0]), torch.tensor([1.0, 0.0])))
        tensor([2.])
    """
    left, right = (torch.stack(side) for side in zip(*vectors, strict=True))
    with without_autocast(weight):
        found: Tensor = _Norms.apply(weight, left, right)
        return found


class _Norms(Function):
    """The gradient is one product, however many norms there are, not a matrix of the weight's size for each."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.shape = weight.shape
        matrix = weight.flatten(1)
        return torch.stack([torch.dot(u, torch.mv(matrix, v)) for u, v in zip(left, right, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        left, right = ctx.saved_tensors
        return ((gradients[0].unsqueeze(1) * left).t() @ right).view(ctx.shape), None, None
