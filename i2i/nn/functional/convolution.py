"""2D convolution that picks a faster algorithm for shapes that oneDNN handles badly on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from i2i.nn.functional.optimizations import device_type, optimizations_enabled

# Bounds measured on CPUs with AVX-512 by `benchmarks/convolutions.py`.
FEW_POSITIONS = 128
"""Output positions of a whole batch up to which a matrix product beats oneDNN, which reorders the weight."""
LARGE_WEIGHT = 2**18
"""Elements of a weight from which that reordering matters."""
FEW_CHANNELS = 4
"""Output channels up to which oneDNN leaves most of a vector register unused."""
LARGE_KERNEL = 5
"""Kernel size from which a kernel larger by one costs little."""


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """Compute `F.conv2d` by the fastest algorithm for these shapes.

    On a CPU a large weight on a small map becomes one matrix product, and a large kernel with few output channels
    works on blocks of 2x2 pixels. Everything else, and the reference path, is `F.conv2d` itself.

    Args:
        x: features [B, C, H, W].
        weight: [C', C, k, k'].
        bias: [C'] or None.
        stride: of both axes.
        padding: zeros above and below, and on the left and the right.

    Returns:
        [B, C', H', W'] with H' = (H + 2 padding - k) // stride + 1.

    Example:
        >>> x, weight = torch.randn(1, 8, 12, 12), torch.randn(3, 8, 7, 7)
        >>> torch.allclose(convolve(x, weight), F.conv2d(x, weight), atol=1e-4)
        True
    """
    # Libraries of accelerators choose among more algorithms than these, and reading sizes would fix them in an export.
    if not optimizations_enabled() or device_type(x) != "cpu":
        return F.conv2d(x, weight, bias, stride, padding)
    height, width = (
        (side + 2 * extra - kernel) // stride + 1
        for side, extra, kernel in zip(x.shape[2:], padding, weight.shape[2:], strict=True)
    )
    exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    if exact and weight.numel() >= LARGE_WEIGHT and x.shape[0] * height * width <= FEW_POSITIONS:
        return _by_product(x, weight, bias, stride, padding, (height, width))
    narrow = weight.shape[0] <= FEW_CHANNELS < weight.shape[1] and min(weight.shape[2:]) >= LARGE_KERNEL
    if narrow and stride == 1 and height % 2 == 0 and width % 2 == 0:
        return _by_blocks(x, weight, bias, padding)
    return F.conv2d(x, weight, bias, stride, padding)


def _by_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Multiply windows, as rows of a matrix, by the weight, each element of which is then read once."""
    windows = F.unfold(x, weight.shape[2:], padding=padding, stride=stride)
    y: Tensor = _Product.apply(windows.transpose(1, 2).flatten(0, 1), weight.flatten(1))
    y = y if bias is None else y + bias
    return y.view(x.shape[0], -1, weight.shape[0]).transpose(1, 2).reshape(x.shape[0], weight.shape[0], *size)


def _by_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """Compute blocks of 2x2 pixels as four times the channels: the kernel, padded by one, shifted to each pixel."""
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    kernel = torch.stack(shifted, 1).flatten(0, 1)
    repeated = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, kernel, repeated, stride=2, padding=padding), 2)


class _Product(Function):
    """`rows @ weight.T` whose gradients multiply contiguous matrices, as MKL is 20 times slower for some others."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return rows @ weight.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        rows_needed, weight_needed = ctx.needs_input_grad
        return gradient @ weight if rows_needed else None, gradient.t() @ rows if weight_needed else None
