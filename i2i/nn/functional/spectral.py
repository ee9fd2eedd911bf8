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
    r"""Compute one step towards the first singular vectors of a weight.

    .. math:: v = W^\top u / \lVert W^\top u \rVert, \quad u' = W v / \lVert W v \rVert

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        u: [n], the left vector after the previous step.
        eps: lower bound of the norms in the denominators.

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
    with without_autocast(weight):  # vectors rounded to half precision drift over the steps
        matrix = weight.flatten(1)
        v = F.normalize(torch.mv(matrix.t(), u), dim=0, eps=eps)
        return F.normalize(torch.mv(matrix, v), dim=0, eps=eps), v


def spectral_normalize(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""Divide a weight by the spectral norm that its singular vectors give.

    .. math:: \hat W = W / \sigma, \quad \sigma = u^\top W v

    The gradient passes through sigma to the weight, not to the vectors.

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        u: left singular vector [n], of `power_iteration`.
        v: right singular vector [m], of `power_iteration`.

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
    r"""Compute a weight's spectral norm :math:`\sigma = u^\top W v` for each pair of singular vectors.

    The gradient passes to W, not to the vectors.

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        vectors: pairs of u [n] and v [m].

    Returns:
        norms [p], one for each pair.

    Example:
        >>> spectral_norm(torch.tensor([[2.0, 0.0]]), (torch.tensor([1.0]), torch.tensor([1.0, 0.0])))
        tensor([2.])
    """
    left, right = (torch.stack(side) for side in zip(*vectors, strict=True))
    with without_autocast(weight):
        norms: Tensor = _Norms.apply(weight, left, right)
        return norms


class _Norms(Function):
    """Norms whose gradient is one matrix product, however many pairs there are, not an outer product for each."""

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
