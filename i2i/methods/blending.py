"""What users may say of styles: which answers a written one asks for, and several styles with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.errors import I2IError

Blend = Mapping[Any, float] | Sequence[tuple[Any, float]]
"""Styles with their weights: `{0: 0.7, 3: 0.3}`, or pairs where a style is a tensor."""


def shares(blend: Blend) -> list[tuple[Any, float]]:
    """Each style of a blend with its share; shares add up to 1.

    Raises:
        I2IError: it holds no style, or weights that are no weights.
    """
    pairs = list(blend.items() if isinstance(blend, Mapping) else blend)
    weights = [weight for _, weight in pairs]
    if not pairs or not all(isinstance(weight, int | float) and 0 <= weight < float("inf") for weight in weights):
        raise I2IError(f"blend: expected styles with weights >= 0, got weights {weights}")
    total = sum(weights)
    if total == 0:
        raise I2IError("blend: expected a weight above 0, got none")
    return [(style, weight / total) for style, weight in pairs]


def either(style: object, default: object, blend: Blend | None) -> list[tuple[Any, float]]:
    """The styles that a translation is to have, with their shares: the one `style`, or those of a blend.

    Args:
        style: as given, or its default.

    Raises:
        I2IError: both were given.
    """
    if blend is None:
        return [(style, 1.0)]
    if style is not default and not (isinstance(style, int | str) and style == default):
        raise I2IError("style and blend cannot be given together; give the style as a part of the blend")
    return shares(blend)


def random_or_image(style: str) -> dict[str, Any]:
    """What most methods understand: `random`, N for the first N random styles, or an image.

    Raises:
        I2IError: it is none of these.
    """
    if style == "random":
        return {"": style}
    if style.isdecimal() and int(style) > 0:
        return {f".{number}": number for number in range(1, int(style) + 1)}
    if not Path(style).is_file():
        raise I2IError(f"style: expected random, a number from 1 on or an image, got {style!r}")
    return {"": Path(style)}
