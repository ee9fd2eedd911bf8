"""The base class that makes a data set of images short to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2i.core.contracts import Stream


class ImageDataset:
    """A data set of square RGB images of two domains, [3, size, size] in [-1, 1].

    A subclass has a constructor option `size`, keeps it as an attribute, and implements `__len__`, `__getitem__` and
    `preview`. One with other streams extends or replaces what `declare_streams` returns.
    """

    domains: tuple[str, ...] = ("a", "b")

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Streams of a sample, from options alone; no file is opened.

        Args:
            options: every option of the constructor by name. The recipe check passes those of the recipe, and an
                instance passes its attributes.
        """
        return {domain: Stream("image", 3, (options["size"], options["size"])) for domain in cls.domains}

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Streams of a sample; override it where only the data says, for instance, how many classes there are."""
        return self.declare_streams(vars(self))
