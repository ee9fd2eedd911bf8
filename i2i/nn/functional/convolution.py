"""Convolutions of odd shapes, computed as other operations that a CPU does faster."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.winograd import winograd

# Where the ways below win was measured on CPUs with AVX-512, `benchmarks/convolutions.py`.
FEW_POSITIONS = 128
"""Places of the kernel, in a whole batch, up to which a matrix product beats oneDNN, which reorders the weight."""
HEAVY_WEIGHT = 2**18
"""Numbers in a weight from which that matters."""
DEEP = 256
"""Channels, in and out, from which Winograd's way wins over the direct one; with 128 they take the same time."""
LARGE = 4096
"""Pixels of the map from which it does; from 1024 on it gains less than a tenth and costs as much in memory."""
FEW_CHANNELS = 4
"""Channels up to which oneDNN leaves most of a vector register idle."""
WIDE_KERNEL = 5
"""Side from which a kernel larger by one costs little."""


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """`F.conv2d` by whatever is fastest for these shapes.

    Args:
        x: [B, C, H, W].
        weight: [C', C, k, k'].
        bias: [C'] or None.
        padding: zeros above and below, and on the left and the right.

    Returns:
        [B, C', (H + 2 padding - k) // stride + 1, ...].

    Example:
        >>> x, weight = torch.randn(1, 8, 12, 12), torch.randn(3, 8, 7, 7)
        >>> torch.allclose(convolve(x, weight), F.conv2d(x, weight), atol=1e-4)
        True
    """
    sides = [
        (side + 2 * extra - kernel) // stride + 1
        for side, extra, kernel in zip(x.shape[2:], padding, weight.shape[2:], strict=True)
    ]
    # Accelerators' own libraries choose among more ways than these.
    if optimizations_enabled() and x.device.type == "cpu":
        few = len(x) * sides[0] * sides[1] <= FEW_POSITIONS
        alone = not torch.is_autocast_enabled(x.device.type)
        single = alone and x.dtype in (torch.float32, torch.float64)
        # Small tiles round little enough for an image, though not for the sums that a gradient is made of.
        half = alone and x.dtype == torch.bfloat16 and not torch.is_grad_enabled()
        if few and single and weight.numel() >= HEAVY_WEIGHT:
            return _by_product(x, weight, bias, stride, padding, sides)
        tile = _winograd_tile(weight, sides, (2,) if half else (4, 2))
        if tile and stride == 1 and (single or half):
            wide = F.pad(x, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else x
            made = winograd(wide, weight, tile)
            return made if bias is None else made + bias.view(1, -1, 1, 1)
        narrow = len(weight) <= FEW_CHANNELS < weight.shape[1] and min(weight.shape[2:]) >= WIDE_KERNEL
        if narrow and stride == 1 and not any(side % 2 for side in sides):
            return _by_blocks(x, weight, bias, padding)
    return F.conv2d(x, weight, bias, stride, padding)


def _winograd_tile(weight: Tensor, sides: list[int], tiles: tuple[int, ...]) -> int:
    """The side of what one of Winograd's tiles gives, at stride 1, or 0 where the direct way is better."""
    if weight.shape[2:] != (3, 3) or min(weight.shape[:2]) < DEEP or math.prod(sides) < LARGE:
        return 0
    return next((tile for tile in tiles if not any(side % tile for side in sides)), 0)


def _by_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], sides: list[int]
) -> Tensor:
    """The windows as rows of a matrix, times the weight: each number of the weight is read once, where it lies."""
    windows = F.unfold(x, weight.shape[2:], padding=padding, stride=stride)
    made: Tensor = _Product.apply(windows.transpose(1, 2).flatten(0, 1), weight.flatten(1))
    made = made if bias is None else made + bias
    return made.view(len(x), -1, len(weight)).transpose(1, 2).reshape(len(x), len(weight), *sides)


def _by_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """Blocks of 2x2 pixels as four times the channels: the kernel, one larger, is laid at each pixel of the block."""
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    kernel = torch.stack(shifted, 1).flatten(0, 1)
    repeated = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, kernel, repeated, stride=2, padding=padding), 2)


class _Product(Function):
    """`rows @ weight.T`; gradients are products of contiguous matrices, as MKL is 20 times slower for some others."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return rows @ weight.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_rows, of_weight = ctx.needs_input_grad
        return gradient @ weight if of_rows else None, gradient.t() @ rows if of_weight else None
