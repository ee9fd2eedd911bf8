"""The nearest name to one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The name that looks most like another one, whatever the case; None when none is near."""
    lowered = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name[:100].lower(), lowered, n=1, cutoff=cutoff)
    return lowered[near[0]] if near else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no name is near."""
    near = nearest(name, names)
    return "" if near is None else f" Did you mean {near!r}?"
