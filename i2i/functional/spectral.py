"""Spectral norm of a weight by power iteration."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.functional.precision import without_autocast


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
        return weight / spectral_norm(weight, u, v)


def spectral_norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    r"""The spectral norm of a weight as the vectors see it, :math:`\sigma = u^\top W v`; the gradient passes to W.

    Args:
        weight: [n, ...], seen as the matrix W [n, m].
        u, v: [n] and [m], of `power_iteration`.

    Example:
        >>> spectral_norm(torch.tensor([[2.0, 0.0]]), torch.tensor([1.0]), torch.tensor([1.0, 0.0]))
        tensor(2.)
    """
    with without_autocast(weight):
        return torch.dot(u, torch.mv(weight.flatten(1), v))
