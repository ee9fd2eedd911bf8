"""A recorder that stands for CUDA graphs where there is no GPU.

It records each operation with its tensors, and replays the same operations on the same storages. So whatever a real
graph would freeze, such as a draw or a learning rate on the host, is frozen here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from i2i.engine.stepper import Stepper


class Tape(TorchDispatchMode):
    """Recorder that replays operations on a CPU; what recording has computed is undone, as a graph computes nothing."""

    def __init__(self, stepper: Stepper) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stepper, self.calls = stepper, 0
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def warm_up(self, function: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return function()

    def capture(self, function: Callable[[], dict[str, Tensor]]) -> tuple[dict[str, Tensor], Callable[[], None]]:
        states = [leaf for one in self.stepper.optimizers.values() for leaf in tree_leaves(dict(one.state))]
        values = [*self.stepper.translator.state_dict().values(), *(x for x in states if isinstance(x, Tensor))]
        before = [value.clone() for value in values]
        try:
            with self:
                found = function()
        finally:
            operations, self.operations = self.operations, []
            for value, saved in zip(values, before, strict=True):
                value.data.copy_(saved)
        return found, lambda: self.replay(operations)

    def replay(self, operations: list[tuple[Any, Any, Any, Any]]) -> None:
        self.calls += 1
        for func, args, kwargs, out in operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        def detached(x: Any) -> Any:
            return x.detach() if isinstance(x, Tensor) else x

        out = func(*args, **(kwargs or {}))
        kept = (tree_map(detached, part) for part in (args, kwargs or {}, out))
        self.operations.append((func, *kept))
        return out
