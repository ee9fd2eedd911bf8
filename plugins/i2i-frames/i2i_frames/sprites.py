"""The data set `moving_sprites`: drawn sprites that pass in front of each other, with their depth and their flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.demo.canvas import Canvas, Color

_PREVIEW = 2**60  # scenes from here on are not used in training
FAR = 0.1
"""Inverse depth of the background; sprites lie between it and 1."""
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class MovingSprite:
    """One sprite; places are in halves of the image's side, y downwards.

    Args:
        form: its outline.
        color: mean colour.
        stripes: direction and frequency of its stripes, and their phase, in its own frame.
        radius: half of its size.
        start: centre in the first frame.
        motion: way of the centre from the first frame to the last one.
        turn: angle from the first frame to the last one, in radians.
        inverse_depth: from 0 to 1, larger for nearer sprites.
    """

    form: Literal["disc", "box"]
    color: Color
    stripes: tuple[float, float, float]
    radius: float
    start: tuple[float, float]
    motion: tuple[float, float]
    turn: float
    inverse_depth: float

    def center(self, time: float) -> tuple[float, float]:
        """Return the centre at a time from 0 to 1."""
        return self.start[0] + time * self.motion[0], self.start[1] + time * self.motion[1]


class MovingSprites(ImageDataset):
    """Three frames of drawn scenes: `first`, `last`, and `between` at `time`; with the inverse depth of the outer two.

    Striped sprites move and turn over a striped background that stands still; nearer ones hide those behind them.

    Args:
        size: side of the frames in pixels.
        time: `middle` for 1/2, or `any` for times between 0.1 and 0.9.
        sprites: sprites of a scene.
        speed: longest way of a sprite between both frames, as a fraction of the side.
        count: samples of an epoch; the stream of samples itself is endless.
        seed: seed of all scenes, >= 0.
    """

    domains = ("first", "last", "between")

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 64,
        time: Literal["middle", "any"] = "any",
        sprites: Annotated[int, Ge(1), Le(16)] = 2,
        speed: Annotated[float, Gt(0), Le(1)] = 0.2,
        count: Annotated[int, Ge(1)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.time, self.sprites, self.speed = size, time, sprites, speed
        self.count, self.seed = count, seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the frames, `time` as a plane, and the inverse depths, all three in [0, 1]."""
        size = (options["size"],) * 2
        plane = Stream("image", 1, size, (0.0, 1.0))
        return super().declare_streams(options) | dict.fromkeys(("time", "depth_first", "depth_last"), plane)

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0: every stream of one scene."""
        if number < 0:
            raise IndexError(f"moving_sprites: samples are numbered from 0, got {number}")
        scene = self.scene(number)
        draws = np.random.Generator(np.random.PCG64([self.seed, 1, number]))
        time = 0.5 if self.time == "middle" else float(draws.uniform(0.1, 0.9))
        (first, near_first), (between, _), (last, near_last) = (scene.frame(t, self.size) for t in (0.0, time, 1.0))
        plane = torch.full((1, self.size, self.size), time)
        return {
            "first": first,
            "between": between,
            "last": last,
            "time": plane,
            "depth_first": near_first,
            "depth_last": near_last,
        }

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return scenes that are not trained on, by stream [count, C, size, size]."""
        samples = [self[_PREVIEW + number] for number in range(count)]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def scene(self, number: int) -> Scene:
        """Return scene `number`, the farthest sprite first."""
        draws = np.random.Generator(np.random.PCG64([self.seed, 0, number]))
        sprites = []
        for depth in sorted(draws.uniform(0.3, 1.0, self.sprites)):
            heading, way = draws.uniform(-math.pi, math.pi), 2 * self.speed * draws.uniform(0.3, 1)
            motion = way * math.cos(heading), way * math.sin(heading)
            middle = draws.uniform(-0.5, 0.5, 2)
            sprites.append(
                MovingSprite(
                    "disc" if draws.random() < 0.5 else "box",
                    _color(draws.uniform(0.25, 0.9, 3)),
                    _stripes(draws),
                    float(draws.uniform(0.25, 0.45)),
                    (float(middle[0] - motion[0] / 2), float(middle[1] - motion[1] / 2)),
                    motion,
                    float(draws.uniform(-0.4, 0.4)),
                    float(depth),
                )
            )
        return Scene(_color(draws.uniform(0.1, 0.5, 3)), _stripes(draws), tuple(sprites))


@dataclass(frozen=True)
class Scene:
    """A background and sprites, the farthest one first.

    Args:
        color: mean colour of the background.
        stripes: of the background, as of sprites.
        sprites: the farthest one first.
    """

    color: Color
    stripes: tuple[float, float, float]
    sprites: tuple[MovingSprite, ...]

    def frame(self, time: float, size: int) -> tuple[Tensor, Tensor]:
        """Return the frame [3, size, size] in [-1, 1] at a time from 0 to 1, and its inverse depth [1, size, size]."""
        canvas = Canvas.blank(size)
        canvas.fill_(_striped(canvas, self.color, self.stripes), 1.0)
        depth = np.full((size, size), FAR, np.float32)
        for sprite in self.sprites:
            own = canvas.frame(sprite.center(time), sprite.turn * time, 1.0)
            cover = self._cover(own, sprite)
            own.fill_(_striped(own, sprite.color, sprite.stripes), cover)
            depth[cover > 0.5] = sprite.inverse_depth
        image = torch.from_numpy(2 * canvas.image - 1)
        return image, torch.from_numpy(depth)[None]

    def flow(self, start: float, end: float, size: int) -> Tensor:
        """Return the way of what each pixel shows from one time to another, in pixels, [2, size, size]."""
        canvas = Canvas.blank(size)
        flow = np.zeros((2, size, size), np.float32)
        for sprite in self.sprites:
            own = canvas.frame(sprite.center(start), sprite.turn * start, 1.0)
            inside = self._cover(own, sprite) > 0.5
            (x, y), angle = sprite.center(end), sprite.turn * end
            cos, sin = math.cos(angle), math.sin(angle)
            moved = np.stack([x + cos * own.x - sin * own.y, y + sin * own.x + cos * own.y])
            flow[:, inside] = ((moved - np.stack([canvas.x, canvas.y])) * size / 2)[:, inside]
        return torch.from_numpy(flow)

    @staticmethod
    def _cover(own: Canvas, sprite: MovingSprite) -> NDArray[np.float32]:
        if sprite.form == "disc":
            return own.cover(own.circle((0, 0), sprite.radius))
        return own.cover(own.box((0, 0), (sprite.radius, 0.7 * sprite.radius), 0.05))


def _color(values: Vector) -> Color:
    return float(values[0]), float(values[1]), float(values[2])


def _stripes(draws: np.random.Generator) -> tuple[float, float, float]:
    return float(draws.uniform(4, 10)), float(draws.uniform(4, 10)), float(draws.uniform(0, 6))


def _striped(canvas: Canvas, color: Color, stripes: tuple[float, float, float]) -> NDArray[np.float32]:
    wave = 1 + 0.35 * np.sin(stripes[0] * canvas.x + stripes[1] * canvas.y + stripes[2])
    return (np.array(color, np.float32)[:, None, None] * wave).clip(0, 1).astype(np.float32)
