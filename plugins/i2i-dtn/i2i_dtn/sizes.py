"""Image sides that DTN's networks can take: 4, doubled some times."""

from __future__ import annotations

import i2i
from i2i.core.bounds import ImageSize, square_side

SMALLEST = 16


def check_size(size: ImageSize) -> None:
    """Refuses any side but 16, 32, 64 and so on.

    Raises:
        OptionError: names the nearest legal side.
    """
    image_size = square_side(size)
    if image_size < SMALLEST or image_size & (image_size - 1):
        below = max(SMALLEST, 1 << (max(image_size, 1).bit_length() - 1))
        raise i2i.OptionError(
            "image_size", f"expected a power of 2, at least {SMALLEST}, got {image_size}; try {below}"
        )


def halvings(image_size: ImageSize) -> int:
    """How often a side is halved until it is 4.

    Example:
        >>> halvings(32)
        3
    """
    return square_side(image_size).bit_length() - 3
