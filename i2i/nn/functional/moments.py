"""Mean and variance of maps, and scaling and shifting by one number per map, with gradients of as few passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

PIXELS = (2, 3)
HALVES = (torch.bfloat16, torch.float16)


def taken_as_it_is(x: Tensor) -> bool:
    """Whether half precision need not become float32 for what is done here.

    Without gradients, torch's kernels on a CPU read and write halves and count in float32. On other devices they want
    one type for all, and compilers make one kernel of all of it anyway.
    """
    return x.dtype in HALVES and _at_once(x)


def with_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The features, and mean and biased variance [B, C, 1, 1] of each map [H, W].

    Use the features that are given back in place of `x`: the gradients that reach them and the moments are then summed
    in one pass.
    """
    if x.dtype in HALVES:
        return (x, *_moments_of_halves(x))
    found: tuple[Tensor, Tensor, Tensor] = _Moments.apply(x)
    return found


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`scale * x + shift` in the type of `x`, for scale and shift [B, C, 1, 1]."""
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


def _at_once(x: Tensor) -> bool:
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu")


def _moments_of_halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [B, C, 1, 1] in float32, by the kernel of group norm, each map being a group."""
    samples, channels, height, width = x.shape
    one, zero = torch.ones(channels), torch.zeros(channels)  # in float32, for what is found to be so, too
    _, mean, inverse = torch.native_group_norm(x, one, zero, samples, channels, height * width, channels, 0.0)
    return mean[..., None, None], inverse[..., None, None].square().reciprocal()


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    if not _at_once(x):
        return torch.addcmul(shift, x, scale)
    # What is broadcast over pixels torch vectorizes on a CPU in its batch norm alone. Each map is a channel here.
    one, zero = torch.ones_like(scale).flatten(), torch.zeros_like(scale).flatten()
    maps = x.reshape(1, -1, *x.shape[2:])
    return torch.batch_norm(maps, scale.flatten(), shift.flatten(), zero, one, False, 0.0, 0.0, False).view_as(x)
