"""The data set `digits`: generated digits with labels, printed in colour (a) and written in white on black (b)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i_dtn.glyphs import PRINTED, WRITTEN, Plane, distance

Look = Literal["a", "b"]

_PREVIEW = 2**60  # numbers from here on are not used in training
_PAIRS = 2**61


@dataclass(frozen=True)
class Digit:
    """Properties of a digit in both domains.

    Args:
        label: 0 to 9.
        center: x to the right and y downwards from the image's centre, in halves of its side.
        scale: scale of the font.
        slant: horizontal shift to the right per unit of height.
        noise: seed of what is specific to one domain: colours, stroke width, irregular strokes.
    """

    label: int
    center: tuple[float, float]
    scale: float
    slant: float
    noise: int


class Digits(ImageDataset):
    """Two unpaired domains of generated digits, and the labels of the first one.

    Each digit follows from its number and the seed. Sample n holds digit 2n in domain a and digit 2n + 1 in b: no digit
    occurs in both domains.

    Args:
        size: side of the images in pixels.
        count: number of samples in an epoch; the stream of samples itself is endless.
        seed: seed of all digits, >= 0.
    """

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 10_000,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.seed = size, count, seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the images and `labels`, the digits of a."""
        return super().declare_streams(options) | {"labels": Stream("label", 10)}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0 of the stream.

        Returns:
            "a" and "b", each [3, size, size] in [-1, 1], and "labels", the digit of "a", [].
        """
        if number < 0:
            raise IndexError(f"digits: samples are numbered from 0, got {number}")
        label = torch.tensor(self.digit(2 * number).label)
        return {"a": self._images("a", [2 * number])[0], "b": self._images("b", [2 * number + 1])[0], "labels": label}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return fixed held-out digits, different ones in a and b.

        Returns:
            "a" and "b", each [count, 3, size, size] in [-1, 1].
        """
        even = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._images("a", even), "b": self._images("b", [number + 1 for number in even])}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Return held-out digits in both domains, for evaluation: with the same label, place, size and slant.

        Returns:
            "a" and "b", each [count, 3, size, size] in [-1, 1], and "labels", [count].
        """
        numbers = range(_PAIRS, _PAIRS + count)
        labels = torch.tensor([self.digit(number).label for number in numbers])
        return {"a": self._images("a", numbers), "b": self._images("b", numbers), "labels": labels}

    def written(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Return digits of domain b by number, with labels, for the training of a classifier.

        Returns:
            "b" [n, 3, size, size] in [-1, 1], and "labels", [n].
        """
        labels = torch.tensor([self.digit(number).label for number in numbers])
        return {"b": self._images("b", numbers), "labels": labels}

    def digit(self, number: int) -> Digit:
        """Return the properties of a digit by its number."""
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        label = int(draws.integers(10))
        x, y = (float(value) for value in draws.uniform(-0.1, 0.1, 2))
        scale, slant = float(draws.uniform(0.78, 0.98)), float(draws.uniform(-0.1, 0.25))
        return Digit(label, (x, y), scale, slant, int(draws.integers(2**63)))

    def _images(self, look: Look, numbers: Sequence[int]) -> Tensor:
        images = torch.empty(len(numbers), 3, self.size, self.size)
        for image, number in zip(images, numbers, strict=True):
            image.copy_(torch.from_numpy(draw(self.digit(number), look, self.size)))
        return images.mul_(2).sub_(1)


def draw(digit: Digit, look: Look, size: int) -> Plane:
    """Return a digit in one domain, [3, size, size] in [0, 1]."""
    draws = np.random.Generator(np.random.PCG64([digit.noise, int(look == "b")]))
    axis = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    upright = (y - digit.center[1]) / digit.scale
    across = (x - digit.center[0]) / digit.scale + digit.slant * upright
    if look == "b":
        # Handwriting is irregular: the points of the lines are displaced.
        lines = [line + _smooth_offsets(draws, len(line)) for line in WRITTEN[digit.label]]
        ink = _ink(distance(lines, across, upright), draws.uniform(0.16, 0.26), digit.scale, size)
        return np.repeat(ink[None] * np.float32(draws.uniform(0.85, 1)), 3, 0)
    ink = _ink(distance(PRINTED[digit.label], across, upright), draws.uniform(0.2, 0.36), digit.scale, size)
    paper, colour = _two_colours(draws)
    turn = draws.uniform(0, 2 * math.pi)
    light = 1 + draws.uniform(0, 0.2) * (np.cos(turn) * x + np.sin(turn) * y)
    image = (paper + ink * (colour - paper)) * light + draws.normal(0, 0.03, (3, size, size))
    return image.clip(0, 1).astype(np.float32)


def _ink(distances: Plane, width: float, scale: float, size: int) -> Plane:
    """Return the share of each pixel that a stroke of a width covers, [H, W] in [0, 1]."""
    covered: Plane = (0.5 - (distances - width / 2) * scale * size / 2).clip(0, 1)
    return covered


def _smooth_offsets(draws: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return small offsets of a line's points that vary smoothly along it, [count, 2]."""
    along = np.linspace(0, math.pi, count)[:, None]
    strength = draws.normal(0, 0.035, (4, 2))
    offsets: NDArray[np.float64] = np.cos(along * np.arange(4)) @ strength
    return offsets


def _two_colours(draws: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the colours [3, 1, 1] of background and stroke, one light and one dark."""
    dark, light = draws.uniform(0, 0.4, 3), draws.uniform(0.55, 1, 3)
    paper, ink = (dark, light) if draws.random() < 0.5 else (light, dark)
    return paper[:, None, None], ink[:, None, None]
