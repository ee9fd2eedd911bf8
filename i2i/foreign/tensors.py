"""From the values of a stranger's pickle to tensors, each bounded by what the file holds."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from i2i.foreign.pickles import Damaged, Storage, View

KINDS = {
    **{"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool},
}
MOST_VALUES = 10**6
"""That containers may unfold to, which can hold each other many times."""
DEEPEST = 64
"""Containers in each other."""
REUSED = 4
"""How many times the file's size all tensors together may have; tied weights are there twice."""


def size_of(storage: Storage) -> int:
    """Its bytes."""
    if storage.kind not in KINDS:
        raise Damaged(f"numbers of an unknown type, {storage.kind[:40]}")
    return storage.count * KINDS[storage.kind].itemsize


class Resolver:
    """Puts tensors in the place of views, and sees that values unfold to something of the file's size."""

    def __init__(self, data: mmap.mmap, places: Mapping[str, int]) -> None:
        self.data, self.places = data, places
        self.known: dict[int, tuple[Any, int, int]] = {}
        self.open: set[int] = set()

    def value(self, value: Any) -> Any:
        """With each container made anew once."""
        return self._made(value)[0]

    def _made(self, value: Any) -> tuple[Any, int, int]:
        """A value, to how many it unfolds, and how many bytes of tensors these have."""
        if not isinstance(value, dict | list | tuple | View):
            return value, 1, 0
        if id(value) in self.known:
            return self.known[id(value)]
        if id(value) in self.open or len(self.open) > DEEPEST:
            raise Damaged("containers that hold themselves, or too many others in each other")
        self.open.add(id(value))
        if isinstance(value, View):
            tensor = self._tensor(value)
            found: tuple[Any, int, int] = tensor, 1, tensor.numel() * tensor.itemsize
        else:
            inner = [self._made(one) for one in (value.values() if isinstance(value, dict) else value)]
            items = [one for one, _, _ in inner]
            made = dict(zip(value, items, strict=True)) if isinstance(value, dict) else type(value)(items)
            found = made, 1 + sum(count for _, count, _ in inner), sum(size for _, _, size in inner)
        if found[1] > MOST_VALUES or found[2] > REUSED * len(self.data):
            raise Damaged(f"containers that unfold to {found[1]} values and {found[2]} bytes of numbers")
        self.open.remove(id(value))
        self.known[id(value)] = found
        return found

    def _tensor(self, view: View) -> Tensor:
        storage, numbers = view.storage, [view.offset, *view.size, *view.stride]
        if not isinstance(storage, Storage) or not all(type(one) is int and 0 <= one < 2**62 for one in numbers):
            raise Damaged("a tensor that is none")
        shape, stride = tuple(view.size), tuple(view.stride)
        count = math.prod(shape)
        last = view.offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if (
            (count and (last >= storage.count or count > storage.count))
            or len(shape) > 8
            or max(shape, default=0) > 2**31
        ):
            raise Damaged(f"a tensor {list(shape[:8])} of {storage.count} numbers")
        dtype, begin = KINDS[storage.kind], self.places[storage.key]
        if begin + size_of(storage) > len(self.data):
            raise Damaged("more numbers than are in the file")
        if not count:
            return torch.empty(shape, dtype=dtype)
        if begin % dtype.itemsize:  # in older files, where torch's operations would read across words
            raw = bytearray(self.data[begin : begin + size_of(storage)])
            return torch.frombuffer(raw, dtype=dtype).as_strided(shape, stride, view.offset)
        flat = torch.frombuffer(self.data, dtype=dtype, count=storage.count, offset=begin)
        return flat.as_strided(shape, stride, view.offset)
