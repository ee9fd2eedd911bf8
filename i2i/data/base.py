"""The base class that makes a data set of images short to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field

from i2i.core.bounds import height_width
from i2i.core.contracts import Stream
from i2i.data.decoding import Page
from i2i.data.pixels import PixelFormat
from i2i.errors import OptionError

T = TypeVar("T")
_Channels = Annotated[int, Field(ge=1, le=512)]
Channels = _Channels | dict[str, _Channels]
"""Number of channels, for all domains or by domain."""
ValueRange = tuple[float, float] | dict[str, tuple[float, float]]
"""Lowest and highest value, for all domains or by domain."""


class ImageDataset:
    """A data set of images of two domains, [C, H, W] in [-1, 1].

    A subclass has a constructor option `size`, keeps it as an attribute, and implements `__len__`, `__getitem__` and
    `preview`. If it has an option `channels`, too, its images have so many; otherwise they are RGB. One with other
    streams extends or replaces what `declare_streams` returns.
    """

    domains: tuple[str, ...] = ("a", "b")
    paired: bool | None = None
    """Whether the images of a sample show the same in each domain; None where it does not matter or is not known."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Streams of a sample, from options alone; no file is opened.

        Args:
            options: every option of the constructor by name. The recipe check passes those of the recipe, and an
                instance passes its attributes.
        """
        channels, size = options.get("channels", 3), height_width(options["size"])
        return {domain: Stream("image", of_domain(channels, domain, 3), size) for domain in cls.domains}

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Streams of a sample; override it where only the data says, for instance, how many classes there are."""
        return self.declare_streams(vars(self))


def of_domain(value: T | Mapping[str, T], domain: str, default: T) -> T:
    """Return a domain's value of an option that is one value for all domains, or a table of values by domain."""
    return value.get(domain, default) if isinstance(value, Mapping) else value


def pixel_formats(
    domains: tuple[str, ...],
    channels: Channels,
    range: ValueRange | None,
    percentiles: ValueRange | None,
    page: Page,
    srgb: bool,
) -> dict[str, PixelFormat]:
    """Return how the images of each domain are read, from the options of a data set."""
    return {
        domain: PixelFormat(
            of_domain(channels, domain, 3),
            of_domain(range, domain, None),
            of_domain(percentiles, domain, None),
            page,
            srgb,
        )
        for domain in domains
    }


def check_formats(
    domains: tuple[str, ...],
    channels: Channels,
    range: ValueRange | None,
    percentiles: ValueRange | None,
) -> None:
    """Check the options that say how images are read.

    Raises:
        OptionError: a domain that does not exist, or a range or percentiles that are none.
    """
    tables = {"channels": channels, "range": range, "percentiles": percentiles}
    for name, value in tables.items():
        for key in value if isinstance(value, dict) else ():
            if key not in domains:
                raise OptionError(name, f"no domain {key!r}; domains: {', '.join(domains)}")
    for domain in domains:
        low, high = of_domain(range, domain, None) or (0, 1)
        if not low < high:
            raise OptionError("range", f"expected [LOWEST, HIGHEST], two increasing numbers, got [{low:g}, {high:g}]")
        first, last = of_domain(percentiles, domain, None) or (0, 100)
        if not 0 <= first < last <= 100:
            message = f"expected two increasing percentages from 0 to 100, such as [1, 99], got [{first:g}, {last:g}]"
            raise OptionError("percentiles", message)
        if of_domain(range, domain, None) is not None and of_domain(percentiles, domain, None) is not None:
            raise OptionError("percentiles", f"domain {domain} has a range already; give one of the two")
