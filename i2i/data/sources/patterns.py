"""Sets of shards in one text: braces, wildcards, and the archive in the middle of a path."""

from __future__ import annotations

import re

from i2i.data.sources.archives import TAR, ZIP
from i2i.errors import DataError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
MOST_SHARDS = 100_000


def expand_braces(text: str) -> list[str]:
    """All names that a text with `{000..123}` or `{x,y}` stands for, as a shell writes them.

    Raises:
        DataError: braces hold something else, or stand for more than 100,000 names.
    """
    found = _BRACES.search(text)
    if found is None:
        return [text]
    inner = found.group(1)
    if limits := _RANGE.fullmatch(inner):
        first, last = map(int, limits.groups())
        width = len(limits.group(1)) if limits.group(1).startswith("0") else 0
        if last < first:
            raise DataError(f"{text}: expected a range {{FIRST..LAST}}, got {found.group()}, which holds nothing")
        if last - first >= MOST_SHARDS:
            raise DataError(f"{text}: {found.group()} stands for more than {MOST_SHARDS:,} files")
        choices = [f"{number:0{width}}" for number in range(first, last + 1)]
    elif "," in inner:
        choices = inner.split(",")
    else:
        raise DataError(f"{text}: expected {{000..123}} or {{x,y}} in braces, got {found.group()}")
    names = [
        name for choice in choices for name in expand_braces(f"{text[: found.start()]}{choice}{text[found.end() :]}")
    ]
    if len(names) > MOST_SHARDS:
        raise DataError(f"{text} stands for more than {MOST_SHARDS:,} files")
    return names


def split_at_archive(text: str, endings: tuple[str, ...] = (TAR, ZIP)) -> tuple[str | None, str]:
    """The archive in a path and what follows it: `pairs.tar/a` is the folder `a` in `pairs.tar`; None without one."""
    parts = text.split("/")
    for number, part in enumerate(parts, 1):
        if part.lower().endswith(endings):
            return "/".join(parts[:number]), "/".join(filter(None, parts[number:]))
    return None, ""
