"""Drawn shapes of random colours as three domains: squares, circles and diamonds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.data.labelled import LabelledImages
from i2i.demo.canvas import Canvas
from i2i.demo.shapes import Color, DrawnObject, rgb

Form = Literal["square", "circle", "diamond"]
_PREVIEW = 2**60
"""Objects from here on are never trained on."""
_TRAINED = 2**50
"""Number of objects that training draws from."""


class ShapeDomains(LabelledImages):
    """Squares, circles and diamonds, one per image on a noisy background, at random places and of random areas.

    Args:
        domains: which of the forms, at least two.
        size: height and width of the images in pixels.
        count: samples of one epoch.
        color: colour of the shapes; `random` is any hue, which is the style of an image.
        seed: of all objects, >= 0.
    """

    def __init__(
        self,
        domains: tuple[Form, ...] = ("square", "circle", "diamond"),
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 1000,
        color: Color = "random",
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.check(domains)
        self.domains, self.size, self.count, self.color, self.seed = domains, size, count, color, seed

    def __len__(self) -> int:
        """Samples of one epoch."""
        return self.count

    def image_of(self, domain: str, random: Random, skipped: list[str]) -> Tensor:
        return self._drawn(domain, [int(random.random() * _TRAINED)])[0]

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out objects, always the same ones, [count, 3, size, size] in [-1, 1] by domain."""
        return {domain: self._drawn(domain, range(_PREVIEW, _PREVIEW + count)) for domain in self.domains}

    def _drawn(self, domain: str, numbers: Sequence[int]) -> Tensor:
        return torch.stack([torch.from_numpy(self._draw(domain, number)) for number in numbers]).mul_(2).sub_(1)

    def _draw(self, domain: str, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        draws = np.random.Generator(np.random.PCG64([self.seed, self.domains.index(domain), number]))
        side = float(draws.uniform(0.26, 0.44))
        reach = side / math.sqrt(2) + 0.06  # half of a diamond's diagonal, the widest of the three
        x, y = (2 * float(value) - 1 for value in draws.uniform(reach, 1 - reach, 2))
        hue, *tones = (float(value) for value in draws.uniform(0, 1, 4))
        canvas = Canvas.blank(self.size)
        canvas.image[...] = draws.normal(0.15, 0.04, canvas.image.shape)
        if domain == "circle":
            distance = canvas.circle((x, y), 2 * side / math.sqrt(math.pi))
        else:
            turned = canvas.frame((x, y), math.pi / 4 if domain == "diamond" else 0.0, 1.0)
            distance = turned.box((0.0, 0.0), (side, side), 0.0)
        drawn = DrawnObject((x, y), side, hue, (tones[0], tones[1], tones[2]), 0)
        canvas.fill_(rgb(self.color, drawn), canvas.cover(distance))
        return canvas.image.clip(0, 1)
