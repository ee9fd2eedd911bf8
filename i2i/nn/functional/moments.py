"""Mean and variance of feature maps, and scaling them, in few passes over memory, with gradients of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

PIXELS = (2, 3)
HALF = (torch.bfloat16, torch.float16)


def needs_no_upcast(x: Tensor) -> bool:
    """Return whether `x` is in half precision and torch's kernels accumulate in float32 all the same.

    They do on a CPU without gradients. On other devices they need one type for all operands, and a compiler fuses the
    operations anyway.
    """
    return x.dtype in HALF and _on_cpu_without_gradient(x)


def with_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features, and mean and biased variance [B, C, 1, 1] of each map [H, W].

    Use the returned features in place of `x`: the gradients that reach them and the moments are then summed in one
    pass.
    """
    if x.dtype in HALF:
        return (x, *_moments_in_half_precision(x))
    result: tuple[Tensor, Tensor, Tensor] = _Moments.apply(x)
    return result


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Compute `scale * x + shift` in the type of `x`, for scale and shift [B, C, 1, 1]."""
    result: Tensor = _Affine.apply(x, scale, shift)
    return result


# Both gradients consist of differentiable operations, so that a gradient penalty can differentiate them again. Their
# sums are `torch.sum` of a product: neither `torch.var` nor a batched matrix product is as fast on a CPU.


class _Moments(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(PIXELS, keepdim=True)
        count = x.shape[2] * x.shape[3]
        # Centred first: the mean of squares minus the squared mean would lose small variances to rounding.
        variance = torch.linalg.vector_norm(x - mean, dim=PIXELS, keepdim=True).square() / count
        ctx.save_for_backward(x, mean)
        return x.view_as(x), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        grad_x, grad_mean, grad_variance = gradients
        x, mean = ctx.saved_tensors
        count = x.shape[2] * x.shape[3]
        slope = grad_variance * (2 / count)
        return grad_x + _scaled(x, slope, grad_mean / count - slope * mean)


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


def _on_cpu_without_gradient(x: Tensor) -> bool:
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu")


def _moments_in_half_precision(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance [B, C, 1, 1] in float32, by the kernel of group norm with a map per group."""
    batch, channels, height, width = x.shape
    ones, zeros = torch.ones(channels), torch.zeros(channels)  # in float32, so that the moments are, too
    _, mean, inverse = torch.native_group_norm(x, ones, zeros, batch, channels, height * width, channels, 0.0)
    return mean[..., None, None], inverse[..., None, None].square().reciprocal()


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    if not _on_cpu_without_gradient(x):
        return torch.addcmul(shift, x, scale)
    # On a CPU torch vectorizes an operand that is broadcast over pixels only in batch norm; each map is a channel here.
    ones, zeros = torch.ones_like(scale).flatten(), torch.zeros_like(scale).flatten()
    maps = x.reshape(1, -1, *x.shape[2:])
    return torch.batch_norm(maps, scale.flatten(), shift.flatten(), zeros, ones, False, 0.0, 0.0, False).view_as(x)
