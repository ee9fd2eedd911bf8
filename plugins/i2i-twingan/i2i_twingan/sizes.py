"""Sizes of networks that grow by doubling, and the one at which they work now."""

from __future__ import annotations

from i2i import OptionError
from i2i.core.bounds import ImageSize, square_side

LATENT = 4
"""Side of the features between encoder and generator, and of the smallest image."""


class Sized:
    """A network that works at one of its sizes at a time."""

    @classmethod
    def check(cls, image_size: ImageSize, first_size: int = LATENT) -> None:
        """Sizes that double from 4 px."""
        side = square_side(image_size)
        for name, size in (("image_size", side), ("first_size", first_size)):
            if size not in doublings(LATENT, size):
                raise OptionError(
                    name, f"expected a size that doubles from {LATENT} px (4, 8, 16, 32, ...), got {size}"
                )

    def grow_(self, size: int, alpha: float) -> None:
        """Chooses the size, and its share while it fades in."""
        self.size, self.alpha = size, alpha


def doublings(first: int, last: int) -> tuple[int, ...]:
    """Sizes from the first to the last, each twice the one before.

    Example:
        >>> doublings(4, 32)
        (4, 8, 16, 32)
    """
    sizes = []
    while first <= last:
        sizes.append(first)
        first *= 2
    return tuple(sizes)
