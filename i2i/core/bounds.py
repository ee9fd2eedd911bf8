"""Bounds that many options share, so that a recipe's check names the line of a value that no network could have."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from i2i.errors import I2IError, OptionError

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Depth = Annotated[int, Field(gt=0, le=64)]
"""Layers or blocks: each makes a network deeper, and past the bound the mistake is a typing one."""
ImageSize = int | tuple[int, int]
"""Side of a square image, or height and width, in pixels."""


def height_width(size: ImageSize) -> tuple[int, int]:
    """Return height and width of an image size."""
    return (size, size) if isinstance(size, int) else size


def describe_size(size: ImageSize) -> str:
    """Return a size as messages name it: `64`, or `64 x 128` where height and width differ."""
    height, width = height_width(size)
    return str(height) if height == width else f"{height} x {width}"


def square_side(size: ImageSize) -> int:
    """Return the side of a square.

    Raises:
        OptionError: height and width differ.
    """
    height, width = height_width(size)
    if height != width:
        raise OptionError("image_size", f"expected square images, got {height} x {width}")
    return height


def finite(name: str, value: float) -> float:
    """Return a number.

    Args:
        name: name of the argument or option, for messages.
        value: its value.

    Raises:
        I2IError: it is NaN or infinite.
    """
    if not (isinstance(value, int | float) and math.isfinite(value)):
        raise I2IError(f"{name}: expected a finite number, got {value}")
    return value
