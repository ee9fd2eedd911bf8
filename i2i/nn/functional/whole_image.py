"""Numbers over all pixels of an image that is only looked at window by window: what norms and poolings need of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class Core(NamedTuple):
    """The part of a window that counts, as shares of its sides."""

    top: float
    bottom: float
    left: float
    right: float

    def of(self, x: Tensor) -> Tensor:
        """That part of features [B, C, H, W] of the window."""
        height, width = x.shape[2:]
        rows = slice(round(self.top * height), max(round(self.bottom * height), round(self.top * height) + 1))
        columns = slice(round(self.left * width), max(round(self.right * width), round(self.left * width) + 1))
        return x[:, :, rows, columns]


class Numbers(NamedTuple):
    """Of `pixels` many."""

    pixels: int
    mean: Tensor
    variance: Tensor
    largest: Tensor


class NotKnownYet(Exception):  # noqa: N818  # it ends a look, and nothing is wrong
    """A forward needs a number that is not known yet; what this window adds to it is noted."""


class WholeImage:
    """What is known of an image, place by place: the calls of one forward are numbered, as in every window they agree.

    A norm asks for moments, a pooling for the mean or the maximum. The first place that nothing is known of ends the
    look with `NotKnownYet`; when all windows have been looked at, `learn` makes it known.
    """

    def __init__(self) -> None:
        self._known: list[Numbers] = []
        self._parts: list[Numbers] = []
        self._core = Core(0, 1, 0, 1)
        self._place = 0

    @contextmanager
    def looking(self, core: Core) -> Iterator[None]:
        """A forward within goes over one window, whose `core` counts."""
        global _current  # one forward runs at a time
        before, _current = _current, self
        self._core, self._place = core, 0
        try:
            yield
        finally:
            _current = before

    def learn(self) -> None:
        """Puts together what the windows have shown of one place; their cores should cover the image."""
        self._known.append(_together(self._parts))
        self._parts = []

    def numbers(self, x: Tensor) -> Numbers:
        """Mean, biased variance and maximum [B, C, 1, 1] of the whole image's features, of which `x` is a window.

        Raises:
            NotKnownYet: not all windows have been here.
        """
        self._place += 1
        if self._place <= len(self._known):
            return self._known[self._place - 1]
        self._parts.append(_numbers(self._core.of(x)))
        raise NotKnownYet


_current: WholeImage | None = None


def whole_image() -> WholeImage | None:
    """The image of which the forward at work sees a window; None where it sees everything."""
    return _current


def _numbers(x: Tensor) -> Numbers:
    variance, mean = torch.var_mean(x.float() if x.dtype != torch.float64 else x, (2, 3), correction=0, keepdim=True)
    return Numbers(x.shape[2] * x.shape[3], mean, variance, x.amax((2, 3), keepdim=True))


def _together(parts: list[Numbers]) -> Numbers:
    pixels = sum(part.pixels for part in parts)
    mean = torch.stack([part.mean * (part.pixels / pixels) for part in parts]).sum(0)
    spread = [(part.variance + (part.mean - mean).square()) * (part.pixels / pixels) for part in parts]
    return Numbers(pixels, mean, torch.stack(spread).sum(0), torch.stack([part.largest for part in parts]).amax(0))
