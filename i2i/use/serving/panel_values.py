"""Check the values that a panel's page sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from i2i.errors import I2IError

_REQUIRED: Any = object()


def number(
    values: Mapping[str, Any], name: str, low: float = -1e9, high: float = 1e9, default: float = _REQUIRED
) -> float:
    """Return a number from `low` to `high`; `default` where the request has none.

    Raises:
        I2IError: the value is missing, no number or outside of the bounds.
    """
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _refused(name, f"a number from {low:g} to {high:g}", value)
    return value


def whole(values: Mapping[str, Any], name: str, low: int = 0, high: int = 2**53, default: int = _REQUIRED) -> int:
    """Return a whole number from `low` to `high`, such as a seed; `default` where the request has none."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refused(name, f"a whole number from {low} to {high}", value)
    return value


def wholes(values: Mapping[str, Any], name: str, low: int = 0, high: int = 2**53, most: int = 256) -> list[int]:
    """Return a list of one to `most` whole numbers."""
    value = values.get(name, _REQUIRED)
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise _refused(name, f"a list of 1 to {most} whole numbers", value)
    return [whole({name: one}, name, low, high) for one in value]


def choice(values: Mapping[str, Any], name: str, choices: Sequence[str], default: str = _REQUIRED) -> str:
    """Return one of some words; `default` where the request has none."""
    value = values.get(name, default)
    if not isinstance(value, str) or value not in choices:
        raise _refused(name, f"one of {', '.join(choices)}", value)
    return value


def flag(values: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """Return true or false."""
    value = values.get(name, default)
    if not isinstance(value, bool):
        raise _refused(name, "true or false", value)
    return value


def image(values: Mapping[str, Any], name: str) -> Image.Image:
    """Return an image in mode RGB, which the server has decoded within its limits."""
    value = values.get(name, _REQUIRED)
    if not isinstance(value, Image.Image):
        raise _refused(name, "an image as a data URL", value)
    return value


def _refused(name: str, expected: str, value: object) -> I2IError:
    got = "none" if value is _REQUIRED else f"{value!r:.60}"
    return I2IError(f"{name}: expected {expected}, got {got}")
