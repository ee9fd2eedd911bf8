"""What operations need, counted while they run: bytes that live, floating point operations, bytes moved."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from i2i.engine.heap import Heap


@dataclass(frozen=True)
class Like:
    """A tensor without its values."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Call:
    """An operation as it was called, by the shapes of what it was given: what is needed to make the call again."""

    operation: Any
    given: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...]


@dataclass
class Work:
    """What all calls of one kind have done."""

    calls: int = 0
    flops: int = 0
    moved: int = 0


@dataclass
class _Block:
    born: int
    died: float
    size: int
    place: tuple[int, int]
    label: str = ""


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has not typed it
    """Follows every storage that operations make from its first tensor to its last.

    Under `FakeTensorMode` nothing is computed and no memory is taken, yet the count is that of real steps. torch's own
    FlopCounterMode is not used: its hooks keep graphs alive that were never gone back through.

    Args:
        self.flops: of matrix products and convolutions, a multiplication and an addition as two.
        self.moved: bytes that all other operations have read and written.
        self.work: both, by call.
        self.heap: what a C library's heap would hold for the same blocks.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.moved = self.now = self.peak = 0
        self.heap = Heap()
        self.work: dict[Call, Work] = defaultdict(Work)
        self._clock = self._peak_at = 0
        self._blocks: list[_Block] = []
        self._known: weakref.WeakKeyDictionary[Any, _Block] = weakref.WeakKeyDictionary()

    def begin(self) -> None:
        """Forgets what was counted; what lives goes on living."""
        self.peak, self._peak_at = self.now, self._clock
        self.begin_work()

    def begin_work(self) -> None:
        """Forgets the work alone."""
        self.flops = self.moved = self.heap.asked = 0
        self.work.clear()

    def label(self, tensors: Iterable[Tensor], label: str) -> int:
        """Names the storages of tensors, for `at_peak`; gives their bytes."""
        blocks = {id(block): block for block in map(self._track, tensors)}
        for block in blocks.values():
            block.label = label
        return sum(block.size for block in blocks.values())

    def label_rest(self, label: str) -> int:
        """Names all storages that live and have no name; gives their bytes."""
        rest = [block for block in self._known.values() if not block.label]
        for block in rest:
            block.label = label
        return sum(block.size for block in rest)

    def at_peak(self) -> dict[str, int]:
        """Bytes that lived at the peak, by label."""
        found: dict[str, int] = defaultdict(int)
        for block in self._blocks:
            if block.born <= self._peak_at < block.died:
                found[block.label] += block.size
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Runs an operation and counts it."""
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.prim.device.default:  # tensors without memory are asked for theirs all the time
            return out
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        for tensor in made:
            self._track(tensor)
        if not getattr(func, "is_view", False):
            self._count(func, args, kwargs or {}, out, made)
        return out

    def _count(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: Any, made: list[Tensor]) -> None:
        formula = flop_registry.get(getattr(func, "_overloadpacket", None))
        flops = moved = 0
        if formula is not None:
            flops = int(formula(*args, **kwargs, out_val=out))
        else:
            given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            moved = sum(tensor.nbytes for tensor in (*given, *made))
        work = self.work[Call(func, _frozen(args), tuple((name, _frozen(value)) for name, value in kwargs.items()))]
        work.calls += 1
        work.flops += flops
        work.moved += moved
        self.flops += flops
        self.moved += moved

    def _track(self, tensor: Tensor) -> _Block:
        storage = tensor.untyped_storage()
        block = self._known.get(storage)
        if block is None:
            self._clock += 1
            block = self._known[storage] = _Block(
                self._clock, float("inf"), storage.nbytes(), self.heap.take(storage.nbytes())
            )
            self._blocks.append(block)
            self.now += block.size
            if self.now > self.peak:
                self.peak, self._peak_at = self.now, self._clock
            weakref.finalize(storage, self._free, block).atexit = False
        return block

    def _free(self, block: _Block) -> None:
        self._clock += 1
        block.died = self._clock
        self.now -= block.size
        self.heap.give(block.place)


def _frozen(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Like(tuple(value.shape), value.stride(), value.dtype)
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value
