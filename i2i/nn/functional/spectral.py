"""Spectral norm of a weight by power iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from i2i.nn.functional.precision import without_autocast
from i2i.nn.private_torch import lengths_of


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
        return weight / torch.dot(u, torch.mv(weight.flatten(1), v))


class SingularVectors(NamedTuple):
    """First singular vectors of a weight W [n, m] and what they say of its spectral norm, after each of p iterations.

    Args:
        left: u [p, n].
        right: v [p, m].
        reciprocals: :math:`1 / \\sigma` [p], with :math:`\\sigma = u^\\top W v`.
    """

    left: Tensor
    right: Tensor
    reciprocals: Tensor


@torch.no_grad()
def grouped_power_iterations(
    weights: Sequence[Tensor], us: Sequence[Tensor], count: int, eps: float = 1e-12
) -> list[SingularVectors]:
    """Compute `count` consecutive power iterations of several weights, all of them in the same few operations.

    Only the products with the weights are operations of their own. After an iteration :math:`W v` is
    :math:`\\sigma u'`, so the spectral norm is its length, and no third product is needed.

    Args:
        weights: [n, ...] each, seen as matrices [n, m].
        us: [n] each, the left vectors after the previous iteration.
        count: p, number of iterations.
        eps: lower bound of the norms in the denominators.
    """
    matrices = [weight.flatten(1) for weight in weights]
    heights, widths = [matrix.shape[0] for matrix in matrices], [matrix.shape[1] for matrix in matrices]
    like = weights[0]
    lefts, rights = like.new_empty(count, sum(heights)), like.new_empty(count, sum(widths))
    lengths: list[Tensor] = []
    with without_autocast(like):  # vectors rounded to half precision drift over the steps
        for left, right in zip(lefts, rights, strict=True):
            vs = torch.split(right, widths)
            for matrix, u, v in zip(matrices, us, vs, strict=True):
                torch.mv(matrix.t(), u, out=v)
            _normalize_(right, vs, eps)
            us = torch.split(left, heights)
            for matrix, v, u in zip(matrices, vs, us, strict=True):
                torch.mv(matrix, v, out=u)
            lengths.append(_normalize_(left, us, eps))
        reciprocals = (lengths[0] if count == 1 else torch.stack(lengths)).reciprocal().view(count, -1)
    parts = zip(torch.split(lefts, heights, 1), torch.split(rights, widths, 1), reciprocals.unbind(1), strict=True)
    return [SingularVectors(*part) for part in parts]


def _normalize_(flat: Tensor, parts: Sequence[Tensor], eps: float) -> Tensor:
    """Divide each part of a vector by its length, in place; return the lengths."""
    lengths = torch.stack(lengths_of(parts)).clamp_min_(eps)
    if len(parts) == 1:
        flat.div_(lengths)
    else:
        flat.div_(torch.cat([length.expand(len(part)) for length, part in zip(lengths, parts, strict=True)]))
    return lengths


def with_scales(weight: Tensor, vectors: SingularVectors, batch: int) -> tuple[Tensor, Tensor]:
    """Return a weight and one over its spectral norm for each sample [B], with the gradient of both.

    The gradient passes through the spectral norm to the weight, not to the vectors. It is added to that of the returned
    weight in one product, however many iterations there are.

    Args:
        weight: [n, ...].
        vectors: after p iterations, each of which belongs to B / p consecutive samples.
        batch: B.
    """
    scales = vectors.reciprocals
    if batch != len(scales):
        scales = scales.repeat_interleave(batch // len(scales))
    if not (weight.requires_grad and torch.is_grad_enabled()):
        return weight, scales
    result: tuple[Tensor, Tensor] = _WithScales.apply(weight, scales, vectors.left, vectors.right)
    return result


class _WithScales(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scales: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        result = scales.view_as(scales)
        # The result itself is saved, since its own gradient is part of the second derivative.
        ctx.save_for_backward(result, left, right)
        return weight.view_as(weight), result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        of_weight, of_scales = gradients
        scales, left, right = ctx.saved_tensors
        if of_scales is None:
            return of_weight, None, None, None
        with without_autocast(right):
            slopes = of_scales.to(right.dtype) * scales.square()
            if len(slopes) != len(left):
                slopes = slopes.view(len(left), -1).sum(1)
            outer = (left * slopes.unsqueeze(1)).t()
            if of_weight is None:
                raise AssertionError("a normalized weight is always used with its scale")
            matrix = of_weight.flatten(1).to(right.dtype)
            return torch.addmm(matrix, outer, right, alpha=-1).view_as(of_weight), None, None, None
