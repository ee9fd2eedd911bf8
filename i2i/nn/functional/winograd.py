r"""3x3 convolutions with fewer multiplications: Winograd's F(m x m, 3 x 3).

A tile of (m + 2)² pixels d, which overlaps its neighbours by two, gives m² pixels

.. math:: Y = A^\top \big[ (G g G^\top) \odot (B^\top d B) \big] A

and over all channels the product in brackets is a matrix product, one for each of (m + 2)² places: for m = 2 with 16
multiplications instead of 36, for m = 4 with 36 instead of 144. In float32 the rounding errors are about twice those
of the direct sum (m = 2), or five times (m = 4); in bfloat16 four times (m = 2) or thirteen (m = 4); in float64 nothing
shows.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, arXiv:1509.09308, section 4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.winograd_axis import FOUR, TWO, Axis
from i2i.nn.functional.winograd_tiles import (
    cut,
    cut_adjoint,
    join,
    join_adjoint,
    kernel_of,
    kernel_of_adjoint,
    matrices,
    room_for_kernel,
    room_for_tiles,
)

AXES = {axis.size: axis for axis in (TWO, FOUR)}


def winograd(x: Tensor, weight: Tensor, size: int = 2) -> Tensor:
    """`F.conv2d(x, weight)` of a 3x3 kernel.

    Args:
        x: [B, C, H + 2, W + 2], H and W multiples of `size`.
        weight: [C', C, 3, 3].
        size: m, 2 or 4.

    Returns:
        [B, C', H, W].

    Example:
        >>> x, weight = torch.randn(1, 2, 6, 10), torch.randn(3, 2, 3, 3)
        >>> torch.allclose(winograd(x, weight, size=4), torch.conv2d(x, weight), atol=1e-5)
        True
    """
    # Without a gradient and a tracer the operation is left out: torch's first call of any takes seconds of imports.
    traced = torch.is_grad_enabled() or torch.compiler.is_compiling() or type(x) is not Tensor
    made: Tensor = _forward(x, weight, size) if traced else _made(x, weight, AXES[size])
    return made


# Operations of torch's own kind, so that compilers and counters take each for one.
@torch.library.custom_op("i2i::winograd", mutates_args=())
def _forward(x: Tensor, weight: Tensor, size: int) -> Tensor:
    return _made(x, weight, AXES[size])


@_forward.register_fake
def _(x: Tensor, weight: Tensor, size: int) -> Tensor:
    return x.new_empty(len(x), len(weight), x.shape[2] - 2, x.shape[3] - 2)


@torch.library.custom_op("i2i::winograd_backward", mutates_args=())
def _backward(gradient: Tensor, x: Tensor, weight: Tensor, size: int, needed: list[bool]) -> list[Tensor]:
    """The gradients of x and weight, those that are needed."""
    return [one for one in _gradients(AXES[size], x, weight, gradient, needed) if one is not None]


@_backward.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor, size: int, needed: list[bool]) -> list[Tensor]:
    kept = [one for one, wanted in zip((x, weight), needed, strict=True) if wanted]
    return [torch.empty_like(one, memory_format=torch.contiguous_format) for one in kept]


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    x, weight, ctx.size = inputs
    ctx.save_for_backward(x, weight)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    x, weight = ctx.saved_tensors
    needed = list(ctx.needs_input_grad[:2])
    if torch.is_grad_enabled():  # its own gradient is asked for
        asked = [value for value, wanted in zip((x, weight), needed, strict=True) if wanted]
        found = iter(torch.autograd.grad(F.conv2d(x, weight), asked, gradient, create_graph=True))
    else:
        found = iter(_backward(gradient, x, weight, ctx.size, needed))
    of_x, of_weight = (next(found) if wanted else None for wanted in needed)
    return of_x, of_weight, None


_forward.register_autograd(_differentiate, setup_context=_save)


def _made(x: Tensor, weight: Tensor, axis: Axis) -> Tensor:
    """The convolution, one sample at a time, as its tiles are two to four times its map."""
    made = x.new_empty(len(x), len(weight), x.shape[2] - 2, x.shape[3] - 2)
    kernel = kernel_of(weight, axis)
    tiles, products = room_for_tiles(x, axis, "tiles", x.shape[1]), room_for_tiles(x, axis, "products", len(weight))
    for sample, out in zip(x, made, strict=True):
        cut(sample, tiles, axis)
        torch.bmm(matrices(tiles), kernel.transpose(1, 2), out=matrices(products))
        join(products, out, axis)
    return made


def _gradients(
    axis: Axis, x: Tensor, weight: Tensor, gradient: Tensor, needed: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    of_x, of_weight = needed
    back = torch.empty_like(x, memory_format=torch.contiguous_format) if of_x else None
    summed = room_for_kernel(weight, axis, "summed").zero_() if of_weight else None
    kernel = kernel_of(weight, axis) if of_x else None
    tiles, products = room_for_tiles(x, axis, "tiles", x.shape[1]), room_for_tiles(x, axis, "products", len(weight))
    for index, (sample, given) in enumerate(zip(x, gradient, strict=True)):
        join_adjoint(given, products, axis)
        if summed is not None:
            cut(sample, tiles, axis)
            summed.baddbmm_(matrices(products).transpose(1, 2), matrices(tiles))
        if back is not None and kernel is not None:
            torch.bmm(matrices(products), kernel, out=matrices(tiles))
            cut_adjoint(tiles, back[index], axis)
    return back, None if summed is None else kernel_of_adjoint(summed, axis)
