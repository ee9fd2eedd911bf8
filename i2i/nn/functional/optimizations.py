"""The switch between optimized operations and the reference path, which computes a method as its text has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

# A context variable, as another thread may translate while this one compares with the reference path. torch.compile
# guards its value, so a compiled network follows the switch; it does not do so for `threading.local`.
_enabled = ContextVar("optimizations_enabled", default=True)


def optimizations_enabled() -> bool:
    """Return whether optimized operations are used, which is the default in every thread."""
    return _enabled.get()


@contextmanager
def disable_optimizations(disable: bool = True) -> Iterator[None]:
    """Use the reference path inside the context: to compare results with it, to export, and to find errors.

    The switch belongs to the current thread (or asyncio task); contexts may be nested.

    Args:
        disable: False changes nothing, so that an option can be passed on.
    """
    token = _enabled.set(_enabled.get() and not disable)
    try:
        yield
    finally:
        _enabled.reset(token)


_assumed_device: ContextVar[str | None] = ContextVar("assumed_device", default=None)


def device_type(x: Tensor) -> str:
    """Return the type of device whose algorithms are used for a tensor, such as `cuda`: that of its own device.

    Inside `assume_device` it is another one.
    """
    return _assumed_device.get() or x.device.type


@contextmanager
def assume_device(type: str) -> Iterator[None]:
    """Use the algorithms of another type of device inside the context, to count its operations without having one.

    Args:
        type: such as `cuda`.
    """
    token = _assumed_device.set(type)
    try:
        yield
    finally:
        _assumed_device.reset(token)
