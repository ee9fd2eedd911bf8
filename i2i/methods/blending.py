"""Styles as users write them: a random style, an image, or a weighted blend of several styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.errors import I2IError

Blend = Mapping[Any, float] | Sequence[tuple[Any, float]]
"""Styles with their weights: `{0: 0.7, 3: 0.3}`, or pairs where a style is a tensor."""


def shares(blend: Blend) -> list[tuple[Any, float]]:
    """Return each style of a blend with its normalized weight; the weights sum to 1.

    Args:
        blend: styles with weights >= 0, not all of them 0.

    Raises:
        I2IError: the blend is empty, a weight is negative or not finite, or all weights are 0.
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
    """Return the styles of a translation with their normalized weights: `style` alone, or the styles of a blend.

    Args:
        style: value of the parameter `style`, which is `default` unless the caller sets it.
        default: default of the parameter `style`.
        blend: styles with weights; None for `style` alone.

    Raises:
        I2IError: both `style` and `blend` are given, or the blend is not valid.
    """
    if blend is None:
        return [(style, 1.0)]
    if style is not default and not (isinstance(style, int | str) and style == default):
        raise I2IError("style and blend cannot be given together; give the style as a part of the blend")
    return shares(blend)


def random_or_image(style: str) -> dict[str, Any]:
    """Parse a style: `random`, the number N of random styles to generate, or the path of an image.

    Args:
        style: the text that the user wrote.

    Returns:
        The values of the condition `style`, by the suffix of each output file's name.

    Raises:
        I2IError: the text is none of these.
    """
    if style == "random":
        return {"": style}
    if style.isdecimal() and int(style) > 0:
        return {f".{number}": number for number in range(1, int(style) + 1)}
    if not Path(style).is_file():
        raise I2IError(f"style: expected random, a number from 1 on or an image, got {style!r}")
    return {"": Path(style)}
