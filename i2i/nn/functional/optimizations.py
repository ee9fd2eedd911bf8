"""Whether work is done in fewer operations than a method's text says, with the same result; and how to do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_taken = True


def optimizations_enabled() -> bool:
    """Whether shortcuts are taken, which they are unless `disable_optimizations` says otherwise."""
    return _taken


@contextmanager
def disable_optimizations(wanted: bool = True) -> Iterator[None]:
    """Everything as the method's text has it, for as long as the context lasts: to compare with, and to find faults.

    Args:
        wanted: False changes nothing.
    """
    global _taken  # one process computes one way; torch.compile sees a plain value, not a context variable
    before = _taken
    _taken = before and not wanted
    try:
        yield
    finally:
        _taken = before
