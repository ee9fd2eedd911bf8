"""The switch between optimized operations and the reference path, which computes a method as its text has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
