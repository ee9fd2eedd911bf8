"""Drawn shapes: squares as domain a and circles as domain b, on noise, with a truth that can be measured."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from i2i.data.base import ImageDataset
from i2i.demo.drawn.canvas import Canvas

Form = Literal["square", "circle"]
Color = Literal["red", "blue", "white", "random"]

# Objects from here on are never trained on: a stream of one object per nanosecond would take centuries to get there.
_PREVIEW = 2**60
_PAIRS = 2**61
_MARGIN = 0.06
"""Least distance between an object and the image's edge, as a share of its side."""


@dataclass(frozen=True)
class Thing:
    """One object, whatever it is drawn as; lengths are shares of the image's side.

    Args:
        center: x to the right and y downwards, in [0, 1].
        side: of the square; a circle gets the same area.
        hue: in [0, 1), where the domain's colour is random.
        tones: three numbers in [0, 1] that vary a colour within its name.
        noise: seed of the background.
    """

    center: tuple[float, float]
    side: float
    hue: float
    tones: tuple[float, float, float]
    noise: int


class Shapes(ImageDataset):
    """Two domains of one object each on a noisy background: same places and areas, other form and colour.

    Object number n and the seed decide everything about it. Unpaired, sample n shows object 2n in domain a and object
    2n + 1 in domain b, so none is ever seen in both; paired, it shows object n in both. The stream never repeats.

    Args:
        size: the images' side in pixels.
        count: samples that are called an epoch.
        color_a: of the squares; `random` is any hue.
        color_b: of the circles; `random` is any hue, for methods that give several answers.
        paired: whether both images of a sample show the same object, for methods that need pairs.
        seed: another seed is another world.
    """

    forms: ClassVar[dict[str, Form]] = {"a": "square", "b": "circle"}

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 1000,
        color_a: Color = "red",
        color_b: Color = "blue",
        paired: bool = False,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.paired, self.seed = size, count, paired, seed
        self.colors: dict[str, Color] = {"a": color_a, "b": color_b}

    def __len__(self) -> int:
        """Samples of what counts as an epoch."""
        return self.count

    def numbers(self, number: int) -> tuple[int, int]:
        """The objects that sample `number` shows in domains a and b."""
        if number < 0:
            raise IndexError(f"shapes: samples are numbered from 0, got {number}")
        return (number, number) if self.paired else (2 * number, 2 * number + 1)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` of an endless stream.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1].
        """
        return {domain: self._drawn(domain, [n])[0] for domain, n in zip("ab", self.numbers(number), strict=True)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out objects, always the same ones; other objects in a than in b unless paired.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1].
        """
        shown = [self.numbers(number) for number in range(count)]
        return {domain: self._drawn(domain, [_PREVIEW + n[place] for n in shown]) for place, domain in enumerate("ab")}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out objects in both domains, for evaluation: same centre and area, other form and colour.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same object.
        """
        both = range(_PAIRS, _PAIRS + count)
        return {domain: self._drawn(domain, both) for domain in self.domains}

    def thing(self, number: int) -> Thing:
        """The object of a number."""
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        side = float(draws.uniform(0.26, 0.44))
        reach = side / math.sqrt(math.pi) + _MARGIN  # a circle of the same area is the wider of the two
        x, y = (float(value) for value in draws.uniform(reach, 1 - reach, 2))
        hue, *tones = (float(value) for value in draws.uniform(0, 1, 4))
        return Thing((x, y), side, hue, (tones[0], tones[1], tones[2]), int(draws.integers(2**63)))

    def _drawn(self, domain: str, numbers: Sequence[int]) -> Tensor:
        images = torch.empty(len(numbers), 3, self.size, self.size)
        for image, number in zip(images, numbers, strict=True):
            drawn = draw(self.thing(number), self.forms[domain], self.colors[domain], self.size)
            image.copy_(torch.from_numpy(drawn))
        return images.mul_(2).sub_(1)


def draw(thing: Thing, form: Form, color: Color, size: int) -> NDArray[np.float32]:
    """One object in one form and colour: [3, size, size] in [0, 1]."""
    canvas = Canvas.blank(size)  # its sides lie at -1 and 1
    draws = np.random.Generator(np.random.PCG64([thing.noise, int(form == "circle")]))
    canvas.image[...] = draws.normal(0.15, 0.04, canvas.image.shape)
    center = (2 * thing.center[0] - 1, 2 * thing.center[1] - 1)
    if form == "square":
        distance = canvas.box(center, (thing.side, thing.side), 0.0)
    else:
        distance = canvas.circle(center, 2 * thing.side / math.sqrt(math.pi))
    canvas.fill_(rgb(color, thing), canvas.cover(distance))
    return canvas.image.clip(0, 1)


def rgb(color: Color, thing: Thing) -> tuple[float, float, float]:
    """A colour within its name, always brighter than the background."""
    bright, low, other = 0.75 + 0.25 * thing.tones[0], 0.15 + 0.2 * thing.tones[1], 0.15 + 0.2 * thing.tones[2]
    if color == "red":
        return (bright, low, other)
    if color == "blue":
        return (low, other, bright)
    if color == "white":
        return (bright, bright, bright)
    return colorsys.hsv_to_rgb(thing.hue, 0.7, bright)
