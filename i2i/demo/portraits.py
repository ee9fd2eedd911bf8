"""Drawn portraits: photos as domain a and anime drawings as domain b, made on the fly from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor

from i2i.data.base import ImageDataset
from i2i.data.sampler import epoch_order
from i2i.demo.drawn.anime import anime
from i2i.demo.drawn.character import Character
from i2i.demo.drawn.photo import photo

Manner = Callable[[Character, int], NDArray[np.float32]]

# Characters from here on are never trained on; `count` stays below, so more data never spoils a comparison.
_PREVIEW = 2**40
_PAIRS = 2**41


class Portraits(ImageDataset):
    """Two unpaired domains of one small world, for a first run without any files.

    A character's number and the seed decide everything about it. Domain a shows photos of characters with even
    numbers and domain b drawings of those with odd ones, so nobody is ever seen in both manners.

    Args:
        size: the images' side in pixels.
        count: characters per domain.
        seed: another seed is another world.
    """

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 64,
        count: Annotated[int, Ge(1), Le(2**31)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size = size
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        """Characters per domain: the samples of one epoch."""
        return self.count

    def numbers(self, number: int) -> tuple[int, int]:
        """The characters that sample `number` shows in domains a and b."""
        if number < 0:
            raise IndexError(f"portraits: samples are numbered from 0, got {number}")
        epoch, place = divmod(number, self.count)
        first, second = (int(epoch_order(self.seed, domain, epoch, self.count)[place]) for domain in self.domains)
        return 2 * first, 2 * second + 1

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` of an endless stream; every `len(self)` samples show all characters in a new order.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1], of two different characters.
        """
        first, second = self.numbers(number)
        return {"a": self._drawn(photo, [first])[0], "b": self._drawn(anime, [second])[0]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters, always the same ones, other people in a than in b.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1].
        """
        even = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._drawn(photo, even), "b": self._drawn(anime, [number + 1 for number in even])}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out characters in both manners: the truth that training never sees, for evaluation only.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same character.
        """
        both = range(_PAIRS, _PAIRS + count)
        return {"a": self._drawn(photo, both), "b": self._drawn(anime, both)}

    def character(self, number: int) -> Character:
        """The character of a number."""
        return Character.drawn_from([self.seed, number])

    def _drawn(self, manner: Manner, numbers: Sequence[int]) -> Tensor:
        images = torch.empty(len(numbers), 3, self.size, self.size)
        for image, number in zip(images, numbers, strict=True):
            image.copy_(torch.from_numpy(manner(self.character(number), self.size)).permute(2, 0, 1))
        return images.mul_(2).sub_(1)


class PortraitPairs(Portraits):
    """The same world with each character in both manners, as pairs to learn from."""

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number`: a photo and a drawing of one character; the epochs' order is that of domain a.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1].
        """
        character = self.numbers(number)[0]
        return {"a": self._drawn(photo, [character])[0], "b": self._drawn(anime, [character])[0]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters in both manners, others than those of `pairs`.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same character.
        """
        both = range(_PREVIEW, _PREVIEW + 2 * count, 2)
        return {"a": self._drawn(photo, both), "b": self._drawn(anime, both)}
