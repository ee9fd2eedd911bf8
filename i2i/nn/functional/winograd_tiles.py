"""Winograd's transforms of maps and weights along both axes, and room to do them in."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

from i2i.nn.functional.winograd_axis import Axis, adjoint, mix


def room_for_tiles(x: Tensor, axis: Axis, name: str, channels: int) -> Tensor:
    """Room for one sample's tiles [m + 2, m + 2, rows of tiles, columns of tiles, C]."""
    rows, columns = ((side - 2) // axis.size for side in x.shape[2:])
    return _room(x, name, axis.tile, axis.tile, rows, columns, channels)


def matrices(tiles: Tensor) -> Tensor:
    """[(m + 2)², tiles, C]."""
    return tiles.flatten(2, 3).flatten(0, 1)


def room_for_kernel(weight: Tensor, axis: Axis, name: str) -> Tensor:
    """Room for a transformed kernel [(m + 2)², C', C]."""
    return _room(weight, name, axis.tile**2, *weight.shape[:2])


def kernel_of(weight: Tensor, axis: Axis) -> Tensor:
    """[C', C, 3, 3] to [(m + 2)², C', C]: G along both axes."""
    room = room_for_kernel(weight, axis, "kernel")
    torch.mm(_square(weight, axis), weight.reshape(-1, 9).t(), out=room.flatten(1))
    return room


def kernel_of_adjoint(summed: Tensor, axis: Axis) -> Tensor:
    """[(m + 2)², C', C] to [C', C, 3, 3]."""
    places = summed.flatten(1).t() @ _square(summed, axis)
    return places.view(*summed.shape[1:], 3, 3)


def _square(like: Tensor, axis: Axis) -> Tensor:
    side = like.new_tensor(axis.kernel)
    return torch.kron(side, side)


def cut(x: Tensor, tiles: Tensor, axis: Axis) -> None:
    """One map [C, H + 2, W + 2] into `tiles`: B along both axes. Channels lie innermost, so that all sums are long."""
    wide = _wide(x).copy_(x.permute(1, 2, 0))
    rows = _rows(tiles, axis)
    mix(axis.cut, _windows(wide, 0, axis), rows.unbind())
    for row, made in zip(rows, tiles, strict=True):
        mix(axis.cut, _windows(row, 1, axis), made.unbind())


def cut_adjoint(tiles: Tensor, back: Tensor, axis: Axis) -> None:
    """`tiles` to the map [C, H + 2, W + 2] that `cut` would have taken them from, summed where they overlap."""
    wide, rows = _wide(back), _rows(tiles, axis)
    for made, row in zip(tiles, rows, strict=True):
        _overlap(made, row, 1, axis)
    _overlap(rows, wide, 0, axis)
    back.flatten(1).copy_(wide.flatten(0, 1).t())


def join(products: Tensor, out: Tensor, axis: Axis) -> None:
    """Products [m + 2, m + 2, ...] into one map [C', H, W]: A along both axes."""
    wide, half = _wide(out), _half(products, axis)
    for index in range(axis.tile):
        mix(axis.join, products[:, index].unbind(), half[:, index].unbind())
    for row, parts in enumerate(half):
        mix(axis.join, parts.unbind(), _pixels(wide, row, axis))
    out.flatten(1).copy_(wide.flatten(0, 1).t())


def join_adjoint(given: Tensor, products: Tensor, axis: Axis) -> None:
    """One map's gradient [C', H, W] to that of `products`."""
    wide, half, back = _wide(given).copy_(given.permute(1, 2, 0)), _half(products, axis), adjoint(axis.join)
    for row, parts in enumerate(half):
        mix(back, _pixels(wide, row, axis), parts.unbind())
    for index in range(axis.tile):
        mix(back, half[:, index].unbind(), products[:, index].unbind())


def _wide(x: Tensor) -> Tensor:
    """Room for a map [H, W, C]."""
    return _room(x, "map", *x.shape[1:], len(x))


def _rows(tiles: Tensor, axis: Axis) -> Tensor:
    """Room for rows cut along the first axis alone [m + 2, rows of tiles, W + 2, C]."""
    _, _, rows, columns, channels = tiles.shape
    return _room(tiles, "half", axis.tile, rows, axis.size * columns + 2, channels)


def _half(products: Tensor, axis: Axis) -> Tensor:
    """Room for products joined along the first axis alone [m, m + 2, ...]."""
    return _room(products, "half", axis.size, *products.shape[1:])


def _windows(x: Tensor, along: int, axis: Axis) -> list[Tensor]:
    """Each tile's first pixels, second pixels, ..."""
    span = x.shape[along] - axis.tile + 1
    slices = [slice(start, start + span, axis.size) for start in range(axis.tile)]
    return [x[(slice(None),) * along + (one,)] for one in slices]


def _pixels(wide: Tensor, row: int, axis: Axis) -> list[Tensor]:
    """Of one row in what tiles give, each tile's first pixel, second pixel, ..."""
    return [wide[row :: axis.size, column :: axis.size] for column in range(axis.size)]


def _overlap(parts: Tensor, x: Tensor, along: int, axis: Axis) -> None:
    """Sums of parts to where `_windows` takes them from; all of `x` is written."""
    places = _windows(x, along, axis)
    x.narrow(along, x.shape[along] - 2, 2).zero_()
    found = mix(adjoint(axis.cut), parts.unbind(), [*places[: axis.size], None, None])
    for place, more in zip(places[axis.size :], found[axis.size :], strict=True):
        place.add_(more)


class _Rooms(threading.local):
    def __init__(self) -> None:
        self.kept: dict[tuple[str, torch.dtype], Tensor] = {}


_rooms = _Rooms()


def _room(x: Tensor, name: str, *shape: int) -> Tensor:
    """Room for one sample, kept by each thread.

    Taken anew, its pages would cost as much as the products in it, and what is freed between two weights' gradients,
    which live on, would be a hole in the heap for each of them.
    """
    room = _rooms.kept.get((name, x.dtype))
    if room is None or room.numel() < math.prod(shape):
        with torch.inference_mode(False):
            room = _rooms.kept[name, x.dtype] = torch.empty(math.prod(shape), dtype=x.dtype)
    return room[: math.prod(shape)].view(shape)
