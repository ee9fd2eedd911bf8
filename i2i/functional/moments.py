"""Mean and variance of maps, and scaling and shifting by one number per map, with gradients of as few passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

PIXELS = (2, 3)


def with_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The features, and mean and biased variance [B, C, 1, 1] of each map [H, W].

    Use the features that are given back in place of `x`: the gradients that reach them and the moments are then summed
    in one pass.
    """
    found: tuple[Tensor, Tensor, Tensor] = _Moments.apply(x)
    return found


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`scale * x + shift` for scale and shift [B, C, 1, 1]."""
    found: Tensor = _Affine.apply(x, scale, shift)
    return found


# Both gradients are made of differentiable operations, so that gradient penalties can pass through them again. Their
# sums are `torch.sum` of a product: neither `torch.var` nor a batched matrix product is as fast on a CPU.


class _Moments(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(PIXELS, keepdim=True)
        count = x.shape[2] * x.shape[3]
        # Centred first: the mean of squares less the square of the mean would lose small variances to rounding.
        variance = torch.linalg.vector_norm(x - mean, dim=PIXELS, keepdim=True).square() / count
        ctx.save_for_backward(x, mean)
        return x.view_as(x), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        through, of_mean, of_variance = gradients
        x, mean = ctx.saved_tensors
        count = x.shape[2] * x.shape[3]
        slope = of_variance * (2 / count)
        return through + _scaled(x, slope, of_mean / count - slope * mean)


class _Affine(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return _scaled(x, scale, shift)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        x, scale = ctx.saved_tensors
        return gradient * scale, (gradient * x).sum(PIXELS, keepdim=True), gradient.sum(PIXELS, keepdim=True)


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
        return torch.addcmul(shift, x, scale)
    # What is broadcast over pixels torch vectorizes on a CPU in its batch norm alone. Each map is a channel here.
    one, zero = torch.ones_like(scale).flatten(), torch.zeros_like(scale).flatten()
    maps = x.reshape(1, -1, *x.shape[2:])
    return torch.batch_norm(maps, scale.flatten(), shift.flatten(), zero, one, False, 0.0, 0.0, False).view_as(x)
