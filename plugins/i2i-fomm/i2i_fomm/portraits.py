"""The data set `moving_portraits`: drawn portraits that move and tilt their heads, and change their mouths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, get_args

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.data.base import ImageDataset
from i2i.demo.anime import anime
from i2i.demo.character import Character, Mouth

_PREVIEW = 2**60  # characters from here on are not used in training


class MovingPortraits(ImageDataset):
    """Two frames of one drawn character, with different places, tilts and mouths.

    Args:
        size: side of the frames in pixels.
        count: number of pairs in an epoch; the stream of pairs itself is endless.
        seed: seed of all characters and poses, >= 0.
    """

    domains = ("source", "driving")

    def __init__(
        self, size: Annotated[int, Ge(16)] = 32, count: Annotated[int, Ge(1)] = 1000, seed: Annotated[int, Ge(0)] = 0
    ) -> None:
        self.size, self.count, self.seed = size, count, seed

    def __len__(self) -> int:
        """Return the number of pairs in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return pair `number` >= 0: "source" and "driving", each [3, size, size] in [-1, 1]."""
        draws = np.random.Generator(np.random.PCG64([self.seed, 1, number]))
        character = Character.drawn_from([self.seed, number])
        return {domain: self.frame(self._moved(character, draws)) for domain in self.domains}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return pairs of characters that are not trained on, by domain [count, 3, size, size]."""
        pairs = [self[_PREVIEW + number] for number in range(count)]
        return {domain: torch.stack([pair[domain] for pair in pairs]) for domain in self.domains}

    def clip(self, number: int, frames: int) -> Iterator[Tensor]:
        """Yield frames [3, size, size] of one character that moves and tilts its head, and comes back."""
        character = Character.drawn_from([self.seed, _PREVIEW + number])
        for index in range(frames):
            angle = 2 * math.pi * index / frames
            x, y = character.center
            moved = (x + 0.12 * math.sin(angle), y + 0.04 * (1 - math.cos(angle)))
            yield self.frame(replace(character, center=moved, tilt=character.tilt + 0.2 * math.sin(angle)))

    def frame(self, character: Character) -> Tensor:
        """Return one frame, [3, size, size] in [-1, 1]."""
        return torch.from_numpy(
            np.ascontiguousarray(2 * anime(character, self.size).transpose(2, 0, 1) - 1, np.float32)
        )

    @staticmethod
    def _moved(character: Character, draws: np.random.Generator) -> Character:
        x, y = (float(value) for value in draws.uniform(-0.15, 0.15, 2))
        mouths: tuple[Mouth, ...] = get_args(Mouth)
        return replace(
            character,
            center=(character.center[0] + x, character.center[1] + y / 2),
            tilt=character.tilt + float(draws.uniform(-0.25, 0.25)),
            mouth=mouths[int(draws.integers(len(mouths)))],
        )
