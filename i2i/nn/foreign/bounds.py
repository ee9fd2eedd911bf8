"""What a stranger's pickle would unfold to, and that each of its tensors lies in the file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from i2i.nn.foreign.pickles import Damaged, Storage, View

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


class Bounds:
    """Of all values together.

    Args:
        length: the file's bytes.
        places: where each storage begins in it, by key.
    """

    def __init__(self, length: int, places: Mapping[str, int]) -> None:
        self.length, self.places = length, places
        self.known: dict[int, tuple[int, int]] = {}
        self.open: set[int] = set()

    def keep(self, value: Any) -> tuple[int, int]:
        """To how many values one unfolds, and how many bytes of tensors these have.

        Raises:
            Damaged: to more than its file could hold.
        """
        if not isinstance(value, dict | list | tuple | View):
            return 1, 0
        if id(value) in self.known:
            return self.known[id(value)]
        if id(value) in self.open or len(self.open) > DEEPEST:
            raise Damaged("containers that hold themselves, or too many others in each other")
        self.open.add(id(value))
        if isinstance(value, View):
            count, size = 1, self._tensor(value)
        else:
            inner = [self.keep(one) for one in (value.values() if isinstance(value, dict) else value)]
            count, size = 1 + sum(one for one, _ in inner), sum(one for _, one in inner)
        if count > MOST_VALUES or size > REUSED * self.length:
            raise Damaged(f"containers that unfold to {count} values and {size} bytes of numbers")
        self.open.remove(id(value))
        self.known[id(value)] = count, size
        return count, size

    def _tensor(self, view: View) -> int:
        """Its bytes."""
        storage, numbers = view.storage, [view.offset, *view.size, *view.stride]
        if not isinstance(storage, Storage) or not all(type(one) is int and 0 <= one < 2**62 for one in numbers):
            raise Damaged("a tensor that is none")
        shape = tuple(view.size)
        count = math.prod(shape)
        last = view.offset + sum((size - 1) * step for size, step in zip(shape, view.stride, strict=True))
        inside = not count or (last < storage.count and count <= storage.count)
        if not inside or len(shape) > 8 or max(shape, default=0) > 2**31:
            raise Damaged(f"a tensor {list(shape[:8])} of {storage.count} numbers")
        if self.places[storage.key] + size_of(storage) > self.length:
            raise Damaged("more numbers than are in the file")
        return int(count) * KINDS[storage.kind].itemsize
