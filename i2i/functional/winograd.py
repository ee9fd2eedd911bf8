r"""3x3 convolutions with 16 multiplications for each 2x2 pixels instead of 36: Winograd's F(2x2, 3x3).

A tile of 4x4 pixels d, which overlaps its neighbours by two, gives 2x2 pixels

.. math:: Y = A^\top \big[ (G g G^\top) \odot (B^\top d B) \big] A

and over all channels the product in brackets is a matrix product, one for each of 16 places. In float32 its rounding
errors are about one and a half times those of the direct sum, in float64 nothing shows.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, arXiv:1509.09308, section 4.1.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


def winograd(x: Tensor, weight: Tensor) -> Tensor:
    """`F.conv2d(x, weight)` of a 3x3 kernel.

    Args:
        x: [B, C, H + 2, W + 2], H and W even.
        weight: [C', C, 3, 3].

    Returns:
        [B, C', H, W].

    Example:
        >>> x, weight = torch.randn(1, 2, 6, 8), torch.randn(3, 2, 3, 3)
        >>> torch.allclose(winograd(x, weight), torch.conv2d(x, weight), atol=1e-5)
        True
    """
    made: Tensor = _whole(x, weight) if torch.compiler.is_compiling() else _Winograd.apply(x, weight)
    return made


def _made(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution, one sample at a time, as its tiles are four times its map."""
    (batch, channels), (rows, columns) = x.shape[:2], _tiles(x)
    made = x.new_empty(batch, len(weight), 2 * rows, 2 * columns)
    kernel = _kernel(weight)
    tiles = _room(x, "tiles", 16, channels, rows * columns)
    products = _room(x, "products", 16, len(weight), rows * columns)
    for sample, out in zip(x, made, strict=True):
        _cut(sample, tiles, rows, columns)
        torch.bmm(kernel, tiles, out=products)
        _join(products, out, rows, columns)
    return made


@torch.library.custom_op("i2i::winograd", mutates_args=())
def _whole(x: Tensor, weight: Tensor) -> Tensor:
    """For torch's compiler, which is not to look inside; without a gradient."""
    return _made(x, weight)


@_whole.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(len(x), len(weight), x.shape[2] - 2, x.shape[3] - 2)


class _Winograd(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _made(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_x, of_weight = ctx.needs_input_grad
        if torch.is_grad_enabled():  # its own gradient is asked for
            plain = F.conv2d(x, weight)
            wanted = [value for value, asked in zip((x, weight), ctx.needs_input_grad, strict=True) if asked]
            found = iter(torch.autograd.grad(plain, wanted, gradient, create_graph=True))
            return next(found) if of_x else None, next(found) if of_weight else None
        rows, columns = _tiles(x)
        back = torch.zeros_like(x, memory_format=torch.contiguous_format) if of_x else None
        summed = x.new_zeros(16, len(weight), x.shape[1]) if of_weight else None
        kernel = _kernel(weight).transpose(1, 2).contiguous() if of_x else None
        tiles = _room(x, "tiles", 16, x.shape[1], rows * columns)
        products = _room(x, "products", 16, len(weight), rows * columns)
        for index, (sample, given) in enumerate(zip(x, gradient, strict=True)):
            _join_adjoint(given, products, rows, columns)
            if summed is not None:
                _cut(sample, tiles, rows, columns)
                summed.baddbmm_(products, tiles.transpose(1, 2))
            if back is not None and kernel is not None:
                torch.bmm(kernel, products, out=tiles)
                _cut_adjoint(tiles, back[index], rows, columns)
        return back, None if summed is None else _kernel_adjoint(summed)


class _Rooms(threading.local):
    def __init__(self) -> None:
        self.kept: dict[tuple[str, torch.dtype], Tensor] = {}


_rooms = _Rooms()


def _room(x: Tensor, name: str, *shape: int) -> Tensor:
    """Room for one sample, kept by each thread: taken anew, its pages would cost as much as the products in it."""
    if type(x) is not Tensor:  # a tensor without values, of a simulated step
        return x.new_empty(shape)
    room = _rooms.kept.get((name, x.dtype))
    if room is None or room.numel() < math.prod(shape):
        with torch.inference_mode(False):
            room = _rooms.kept[name, x.dtype] = torch.empty(math.prod(shape), dtype=x.dtype)
    return room[: math.prod(shape)].view(shape)


def _tiles(x: Tensor) -> tuple[int, int]:
    """How many tiles lie below and beside each other."""
    return (x.shape[2] - 2) // 2, (x.shape[3] - 2) // 2


def _kernel(weight: Tensor) -> Tensor:
    """[C', C, 3, 3] to [16, C', C]: G along both axes."""
    return _spread(_spread(weight.unbind(2)).unbind(3)).transpose(0, 1).flatten(0, 1)


def _spread(parts: tuple[Tensor, ...]) -> Tensor:
    first, second, third = parts
    outer, inner = (first + third) / 2, second / 2
    return torch.stack((first, outer + inner, outer - inner, third))


def _kernel_adjoint(summed: Tensor) -> Tensor:
    """[16, C', C] to [C', C, 3, 3]."""
    rows = torch.stack(_gather(summed.view(4, 4, *summed.shape[1:]).unbind(0)))
    return torch.stack(_gather(rows.unbind(1))).permute(2, 3, 1, 0).contiguous()


def _gather(parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    first, second, third, fourth = parts
    half, apart = (second + third) / 2, (second - third) / 2
    return first + half, apart, fourth + half


def _cut(x: Tensor, tiles: Tensor, rows: int, columns: int) -> None:
    """One map [C, H + 2, W + 2] into `tiles` [16, C, rows * columns]: B along both axes."""
    out = tiles.view(4, 4, len(x), rows, columns)
    a, b, c, d = (x[:, start : start + 2 * rows - 1 : 2] for start in range(4))
    for row, made in zip((a - c, b + c, c - b, b - d), out, strict=True):
        a, b, c, d = (row[..., start : start + 2 * columns - 1 : 2] for start in range(4))
        torch.sub(a, c, out=made[0])
        torch.add(b, c, out=made[1])
        torch.sub(c, b, out=made[2])
        torch.sub(b, d, out=made[3])


def _cut_adjoint(tiles: Tensor, back: Tensor, rows: int, columns: int) -> None:
    """Adds `tiles` to where `_cut` took them from, in a map [C, H + 2, W + 2]."""
    wide = tiles.new_zeros(4, len(back), rows, 2 * columns + 2)
    for made, row in zip(tiles.view(4, 4, len(back), rows, columns), wide, strict=True):
        _overlap(made, [row[..., start : start + 2 * columns - 1 : 2] for start in range(4)])
    _overlap(wide, [back[:, start : start + 2 * rows - 1 : 2] for start in range(4)])


def _overlap(parts: Tensor, places: list[Tensor]) -> None:
    first, second, third, fourth = parts
    a, b, c, d = places  # a and c share pixels, and b and d
    a.add_(first)
    c.add_(second + third).sub_(first)
    b.add_(second - third).add_(fourth)
    d.sub_(fourth)


def _join(products: Tensor, out: Tensor, rows: int, columns: int) -> None:
    """[16, C', rows * columns] into one map [C', H, W]: A along both axes."""
    a, b, c, d = products.view(4, 4, len(out), rows, columns)
    for row, upper in enumerate((a + b + c, b - c - d)):
        left, second, third, right = upper
        torch.add(left + second, third, out=out[:, row::2, 0::2])
        torch.sub(second - third, right, out=out[:, row::2, 1::2])


def _join_adjoint(given: Tensor, products: Tensor, rows: int, columns: int) -> None:
    """One map's gradient [C', H, W] to that of `products`."""
    upper, lower = given[:, 0::2], given[:, 1::2]
    out = products.view(4, 4, len(given), rows, columns)
    for row, made in zip((upper, upper + lower, upper - lower, -lower), out, strict=True):
        left, right = row[..., 0::2], row[..., 1::2]
        made[0] = left
        torch.add(left, right, out=made[1])
        torch.sub(left, right, out=made[2])
        torch.neg(right, out=made[3])
