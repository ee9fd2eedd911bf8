"""Statistics over all pixels of an image that is processed in windows, for norms and poolings that need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor


class Region(NamedTuple):
    """A part of a window, as fractions of the window's sides."""

    top: float = 0
    bottom: float = 1
    left: float = 0
    right: float = 1

    def crop(self, x: Tensor) -> Tensor:
        """Crop features [B, C, H, W] of the window to the region, at least one pixel."""
        height, width = x.shape[2:]
        rows = slice(round(self.top * height), max(round(self.bottom * height), round(self.top * height) + 1))
        columns = slice(round(self.left * width), max(round(self.right * width), round(self.left * width) + 1))
        return x[:, :, rows, columns]


class Statistics(NamedTuple):
    """Mean, biased variance and maximum [B, C, 1, 1] over a number of pixels."""

    pixels: int
    mean: Tensor
    variance: Tensor
    maximum: Tensor


class MissingStatistics(Exception):  # noqa: N818  # control flow: ends one pass over a window, and is no error
    """A layer needs statistics that are not complete yet; those of this window have been recorded."""


class WholeImage:
    """The statistics of one image, in the order in which a network asks for them.

    The layers that ask are numbered by their order within one forward pass, which is the same for every window. The
    first one whose statistics are not complete ends the pass with `MissingStatistics`; once every window has been
    visited, `combine` completes them. In one call of `window` with `complete=True` the window is the whole image and
    each statistic is complete at once.
    """

    def __init__(self) -> None:
        self._known: list[Statistics] = []
        self._parts: list[Statistics] = []
        self._region = Region()
        self._complete = False
        self._next = 0

    @contextmanager
    def window(self, region: Region, complete: bool = False) -> Iterator[None]:
        """Make a forward pass inside the context a pass over one window, of which `region` counts."""
        self._region, self._complete, self._next = region, complete, 0
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def combine(self) -> None:
        """Complete the statistics of one layer from those of all windows, whose regions cover the image."""
        self._known.append(_combined(self._parts))
        self._parts = []

    def statistics(self, x: Tensor) -> Statistics:
        """Return the statistics of the whole image's features, of which `x` [B, C, h, w] is a window.

        Raises:
            MissingStatistics: not all windows have been visited.
        """
        self._next += 1
        if self._next <= len(self._known):
            return self._known[self._next - 1]
        part = _statistics(self._region.crop(x))
        if self._complete:
            self._known.append(part)
            return part
        self._parts.append(part)
        raise MissingStatistics


# A context variable is separate in every thread, so that one thread's tiles do not reach another thread's forward.
# torch.compile and torch.export read it like a constant and guard on it.
_current: ContextVar[WholeImage | None] = ContextVar("whole_image", default=None)


def whole_image() -> WholeImage | None:
    """The image of which the running forward pass processes a window; None when it processes a whole image."""
    return _current.get()


def _statistics(x: Tensor) -> Statistics:
    variance, mean = torch.var_mean(x.float() if x.dtype != torch.float64 else x, (2, 3), correction=0, keepdim=True)
    return Statistics(x.shape[2] * x.shape[3], mean, variance, x.amax((2, 3), keepdim=True))


def _combined(parts: list[Statistics]) -> Statistics:
    pixels = sum(part.pixels for part in parts)
    mean = torch.stack([part.mean * (part.pixels / pixels) for part in parts]).sum(0)
    spread = [(part.variance + (part.mean - mean).square()) * (part.pixels / pixels) for part in parts]
    maximum = torch.stack([part.maximum for part in parts]).amax(0)
    return Statistics(pixels, mean, torch.stack(spread).sum(0), maximum)
