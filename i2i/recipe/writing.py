"""Values as a recipe writes them: whole for files, cut short for messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w

LONGEST = 60
DEEPEST = 3
MOST = 6


def inline(value: Any) -> str:
    """A value as it stands after the equals sign of a TOML line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{inline(key)} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def shown(value: Any, depth: int = DEEPEST) -> str:
    """A value for a message: like TOML, on one line and of bounded length whatever it is."""
    if isinstance(value, Mapping):
        items = [f"{key} = {shown(item, depth - 1)}" for key, item in _first(value.items(), depth)]
        return "{ " + ", ".join([*items, *_more(value, items)]) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        items = [shown(item, depth - 1) for item in _first(value, depth)]
        return "[" + ", ".join([*items, *_more(value, items)]) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number too large for TOML"  # Python refuses to write very long ones
    if isinstance(value, str):
        cut = value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}..."
        return f"'{cut}'" if cut.isprintable() and "'" not in cut else json.dumps(cut, ensure_ascii=False)
    return str(value)


def _first(items: Any, depth: int) -> list[Any]:
    return list(items)[:MOST] if depth else []


def _more(value: Any, items: list[str]) -> list[str]:
    return ["..."] if len(items) < len(value) else []
