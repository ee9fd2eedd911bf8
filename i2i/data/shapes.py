"""Drawn shapes: squares as domain a and circles as domain b, whose truth is known to the pixel."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from i2i.data.order import epoch_order

# Shapes from here on are never trained on; `count` stays below, as in `portraits`.
_PREVIEW = 2**40
_PAIRS = 2**41
_GRAIN = 0.02  # more would teach nothing and is not to be reconstructed


class Shape(NamedTuple):
    """One object, square or circle.

    Args:
        x, y: its centre, as shares of the picture's side.
        width: the square's side, likewise; the circle has the same area.
        hue: of the circle, in [0, 1), where hues are free.
        noise: seed of the ground's grain.
    """

    x: float
    y: float
    width: float
    hue: float
    noise: int


class Shapes:
    """Two unpaired domains for tests of a method: does it change the shape, keep the place and choose the colour?

    A shape's number and the seed decide everything about it. Domain a shows squares with even numbers and domain b
    circles with odd ones, each on grey grain.

    Args:
        size: the pictures' side in pixels.
        count: shapes per domain.
        hues: `one` has red squares and blue circles; `any` has white squares and circles of every hue, so that one
            square has many right answers.
        seed: another seed is another world.
    """

    domains: ClassVar[tuple[str, ...]] = ("a", "b")

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1), Le(2**31)] = 1000,
        hues: Literal["one", "any"] = "any",
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.hues, self.seed = size, count, hues, seed

    def __len__(self) -> int:
        """Shapes per domain: the samples of one epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` of an endless stream; every `len(self)` samples show all shapes in a new order.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1], of two different shapes.
        """
        if number < 0:
            raise IndexError(f"shapes: samples are numbered from 0, got {number}")
        epoch, place = divmod(number, self.count)
        first, second = (int(epoch_order(self.seed, domain, epoch, self.count)[place]) for domain in self.domains)
        return {"a": self._drawn("a", [2 * first])[0], "b": self._drawn("b", [2 * second + 1])[0]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out shapes, always the same ones: `a` and `b`, each [count, 3, size, size] in [-1, 1]."""
        even = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._drawn("a", even), "b": self._drawn("b", [number + 1 for number in even])}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out shapes as square and as circle of the same place and area: the truth, for evaluation only.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1].
        """
        both = range(_PAIRS, _PAIRS + count)
        return {domain: self._drawn(domain, both) for domain in self.domains}

    def shape(self, number: int) -> Shape:
        """The shape of a number."""
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        width = draws.uniform(0.28, 0.5)
        x, y = draws.uniform(width / 2 + 0.06, 0.94 - width / 2, 2)
        return Shape(float(x), float(y), float(width), float(draws.uniform()), int(draws.integers(2**31)))

    def mask(self, domain: str, shape: Shape) -> Tensor:
        """How much of each pixel the object covers: [size, size] in [0, 1]."""
        middles = (np.arange(self.size) + 0.5) / self.size
        x, y = np.abs(middles - shape.x)[None, :], np.abs(middles - shape.y)[:, None]
        if domain == "a":
            distance = np.maximum(x, y) - shape.width / 2
        else:
            distance = np.hypot(x, y) - shape.width / np.sqrt(np.pi)
        return torch.from_numpy(np.clip(0.5 - distance * self.size, 0, 1).astype(np.float32))

    def _colour(self, domain: str, shape: Shape) -> tuple[float, float, float]:
        if self.hues == "any":
            return (1.0, 1.0, 1.0) if domain == "a" else colorsys.hsv_to_rgb(shape.hue, 0.9, 0.95)
        return (0.9, 0.25, 0.2) if domain == "a" else (0.2, 0.35, 0.9)

    def _drawn(self, domain: str, numbers: Sequence[int]) -> Tensor:
        pictures = []
        for number in numbers:
            shape = self.shape(number)
            grain = np.random.Generator(np.random.PCG64(shape.noise)).normal(0.35, _GRAIN, (1, self.size, self.size))
            mask = self.mask(domain, shape)
            colour = torch.tensor(self._colour(domain, shape)).view(3, 1, 1)
            pictures.append(torch.lerp(torch.from_numpy(grain).float(), colour, mask).clamp(0, 1))
        return torch.stack(pictures).mul_(2).sub_(1)
