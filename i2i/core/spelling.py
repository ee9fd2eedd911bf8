"""The nearest name to one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHORTEST = 3
"""Fewer letters begin too many words to mean anything."""


def nearest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The name that looks most like another one, whatever the case; None when none is near.

    A name that another one begins with is nearest: `epsilon` means `eps` rather than `eps_on`.
    """
    lowered = {one.lower(): one for one in names}
    asked = name[:100].lower()
    near = [one for one in lowered if len(one) >= SHORTEST and asked.startswith(one)]
    near = [max(near, key=len)] if near else difflib.get_close_matches(asked, lowered, n=1, cutoff=cutoff)
    return lowered[near[0]] if near else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no name is near."""
    near = nearest(name, names)
    return "" if near is None else f" Did you mean {near!r}?"
