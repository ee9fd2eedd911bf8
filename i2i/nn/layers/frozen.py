"""A module that others use without owning it: its weights are neither trained nor saved with theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class Frozen(nn.Module):
    """Holds a module outside its owner's parameters and state dict; it still moves with its owner.

    A loss holds its feature extractor so: a checkpoint that carried it would carry tens of megabytes that never change.

    Args:
        module: put into evaluation mode for good.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._held = (module.eval().requires_grad_(False),)  # in a tuple, torch does not find it

    @property
    def module(self) -> nn.Module:
        """What is held."""
        return self._held[0]

    def forward(self, *args: Any) -> Any:
        return self.module(*args)

    def load_weights_(self) -> None:
        """Gives the held module its weights, if they come from elsewhere."""
        load_weights_: Callable[[], None] | None = getattr(self.module, "load_weights_", None)
        if load_weights_ is not None:
            load_weights_()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Frozen:
        self.module._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
