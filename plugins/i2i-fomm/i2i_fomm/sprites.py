"""The data set `sprite_pairs`: drawn clips of a body with a moving arm, whose every pose is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from i2i.data.base import ImageDataset

_PREVIEW = 2**60  # clips from here on are not used in training
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """What stays the same in a clip: colours [3] in [0, 1], and sizes in halves of the image's side."""

    body: NDArray[np.float64]
    arm: NDArray[np.float64]
    background: NDArray[np.float64]
    radius: float
    length: float


@dataclass(frozen=True)
class Pose:
    """What moves: the body's centre (x, y) in halves of the image's side, and the arm's angle in radians."""

    center: tuple[float, float]
    angle: float


class SpritePairs(ImageDataset):
    """Pairs of frames of drawn clips: a disc with an arm, which moves across the image and turns the arm.

    Args:
        size: side of the frames in pixels.
        count: number of pairs in an epoch; the stream of pairs itself is endless.
        clips: number of different sprites.
        seed: seed of all sprites and poses, >= 0.
    """

    domains = ("source", "driving")

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 1000,
        clips: Annotated[int, Ge(1)] = 200,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.clips, self.seed = size, count, clips, seed

    def __len__(self) -> int:
        """Return the number of pairs in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return pair `number` >= 0: "source" and "driving", each [3, size, size] in [-1, 1]."""
        if number < 0:
            raise IndexError(f"sprite_pairs: samples are numbered from 0, got {number}")
        draws = np.random.Generator(np.random.PCG64([self.seed, 1, number]))
        sprite = self.sprite(int(draws.integers(self.clips)))
        poses = random_pose(draws), random_pose(draws)
        return {domain: self.frame(sprite, pose) for domain, pose in zip(self.domains, poses, strict=True)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return pairs of sprites that are not trained on, by domain [count, 3, size, size] in [-1, 1]."""
        pairs: dict[str, list[Tensor]] = {domain: [] for domain in self.domains}
        for number in range(_PREVIEW, _PREVIEW + count):
            draws = np.random.Generator(np.random.PCG64([self.seed, 2, number]))
            sprite = self.sprite(number)
            for domain in self.domains:
                pairs[domain].append(self.frame(sprite, random_pose(draws)))
        return {domain: torch.stack(frames) for domain, frames in pairs.items()}

    def sprite(self, number: int) -> Sprite:
        """Return the sprite of a clip."""
        draws = np.random.Generator(np.random.PCG64([self.seed, 0, number]))
        body, arm = (draws.uniform(0.3, 1, 3) for _ in range(2))
        return Sprite(body, arm, draws.uniform(0.05, 0.3, 3), draws.uniform(0.2, 0.3), draws.uniform(0.55, 0.7))

    def frame(self, sprite: Sprite, pose: Pose) -> Tensor:
        """Return one frame, [3, size, size] in [-1, 1]."""
        body, arm = self.masks(sprite, pose)
        image = np.repeat(sprite.background[:, None, None], self.size, 1).repeat(self.size, 2)
        for mask, colour in ((arm, sprite.arm), (body, sprite.body)):
            image = image + mask * (colour[:, None, None] - image)
        return torch.from_numpy((2 * image - 1).astype(np.float32))

    def masks(self, sprite: Sprite, pose: Pose) -> tuple[Plane, Plane]:
        """Return the share of each pixel that the body and the arm cover, [size, size] in [0, 1] each."""
        axis = ((np.arange(self.size) + 0.5) * (2 / self.size) - 1).astype(np.float32)
        x, y = np.meshgrid(axis - pose.center[0], axis - pose.center[1])
        direction = math.cos(pose.angle), math.sin(pose.angle)
        along = np.clip(x * direction[0] + y * direction[1], 0, sprite.length)
        to_arm = np.hypot(x - along * direction[0], y - along * direction[1]) - 0.14
        distances = np.hypot(x, y) - sprite.radius, to_arm
        body, arm = (np.clip(0.5 - distance * self.size / 2, 0, 1) for distance in distances)
        return body, arm


def random_pose(draws: np.random.Generator) -> Pose:
    """Return a random pose that keeps the body inside the image."""
    x, y = (float(value) for value in draws.uniform(-0.4, 0.4, 2))
    return Pose((x, y), float(draws.uniform(-math.pi, 0)))
