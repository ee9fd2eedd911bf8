"""Drawn portraits: photos as domain a and anime drawings as domain b."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor

from i2i.core.bounds import height_width
from i2i.data.base import ImageDataset
from i2i.data.pixels import to_tensor
from i2i.data.sampler import epoch_order
from i2i.data.transforms import resized
from i2i.demo.anime import anime
from i2i.demo.canvas import DrawnSize
from i2i.demo.character import Character
from i2i.demo.photo import photo

Drawing = Callable[[Character, int], NDArray[np.float32]]

# Characters with these numbers and above are never trained on; `count` stays below.
_PREVIEW = 2**40
_PAIRS = 2**41


class Portraits(ImageDataset):
    """Photos (a) and anime drawings (b) of characters, unpaired, for a first run without any files.

    A character is a function of its number and the seed. Domain a shows photos of characters with even numbers and
    domain b drawings of those with odd ones, so no character is seen in both domains.

    Args:
        size: height and width of the images in pixels; one number for a square. Others are stretched squares.
        count: characters per domain, which are the samples of one epoch.
        seed: of all characters, >= 0.
        zoom: factor of the characters' size; from about 1.5 on the images show faces, with hair cut off at the sides.
        poses: factor of the spread of the heads' places and tilts; with 1 a head is at most 0.07 of half the image left
            or right of the middle, which is about one pixel of an image of 32 px.
    """

    paired: bool | None = False

    def __init__(
        self,
        size: DrawnSize = 64,
        count: Annotated[int, Ge(1), Le(2**31)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
        zoom: Annotated[float, Ge(0.5), Le(3)] = 1,
        poses: Annotated[float, Ge(0), Le(4)] = 1,
    ) -> None:
        self.size = size
        self.count = count
        self.seed = seed
        self.zoom = zoom
        self.poses = poses

    def __len__(self) -> int:
        """Characters per domain: the samples of one epoch."""
        return self.count

    def numbers(self, number: int) -> tuple[int, int]:
        """Numbers of the characters that sample `number` shows in domains a and b."""
        if number < 0:
            raise IndexError(f"portraits: samples are numbered from 0, got {number}")
        epoch, place = divmod(number, self.count)
        first, second = (int(epoch_order(self.seed, domain, epoch, self.count)[place]) for domain in self.domains)
        return 2 * first, 2 * second + 1

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0; each epoch shows all characters in a new order.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1], of two different characters.
        """
        first, second = self.numbers(number)
        return {"a": self._drawn(photo, [first])[0], "b": self._drawn(anime, [second])[0]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters, always the same ones, others in a than in b.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1].
        """
        even = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._drawn(photo, even), "b": self._drawn(anime, [number + 1 for number in even])}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out pairs: characters in both domains that training never sees, for evaluation.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same character.
        """
        both = range(_PAIRS, _PAIRS + count)
        return {"a": self._drawn(photo, both), "b": self._drawn(anime, both)}

    def character(self, number: int) -> Character:
        """The character with a number."""
        return Character.drawn_from([self.seed, number]).posed(self.poses, self.zoom)

    def _drawn(self, draw: Drawing, numbers: Sequence[int]) -> Tensor:
        sides = height_width(self.size)
        images = torch.empty(len(numbers), 3, *sides)
        for image, number in zip(images, numbers, strict=True):
            image.copy_(to_tensor(resized(draw(self.character(number), max(sides)), sides)))
        return images.mul_(2).sub_(1)


class PortraitPairs(Portraits):
    """Portraits of which both domains show the same character, as pairs to train on."""

    paired: bool | None = True

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: a photo and a drawing of one character, in the order of domain a.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1].
        """
        character = self.numbers(number)[0]
        return {"a": self._drawn(photo, [character])[0], "b": self._drawn(anime, [character])[0]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters in both domains, others than those of `pairs`.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same character.
        """
        both = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._drawn(photo, both), "b": self._drawn(anime, both)}
