"""The data set `textures`: generated scenes of a few shapes (a), and generated textures of two colours (b)."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.sampler import epoch_order
from i2i.demo.canvas import Canvas, Plane

_PREVIEW = 2**60  # numbers from here on are not used in training
_SCENE, _TEXTURE = 0, 1
GOLDEN = 0.6180339887
"""The golden ratio's fractional part: hues that are multiples of it differ from each other."""


class Textures(ImageDataset):
    """Generated scenes (a) and textures (b), for style transfer without files.

    Each image follows from its number and the seed. Sample n shows scene n, and texture n or, with a fixed number of
    styles, one of them: each run of `styles` samples shows each texture once, in a new order.

    Args:
        size: side of the images in pixels.
        count: number of samples in an epoch; the stream of samples itself is endless.
        styles: number of textures; 0 for a new one in each sample.
        seed: seed of all images, >= 0.
    """

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 1000,
        styles: Annotated[int, Ge(0)] = 0,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.styles, self.seed = size, count, styles, seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """The images, and `style`, the number of the style that b shows."""
        return super().declare_streams(options) | {"style": Stream("label", options["styles"])}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def style_of(self, number: int) -> int:
        """Return the number of the texture of a sample."""
        if number < 0:
            raise IndexError(f"textures: samples are numbered from 0, got {number}")
        if not self.styles:
            return number
        epoch, index = divmod(number, self.styles)
        return int(epoch_order(self.seed, "b", epoch, self.styles)[index])

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0 of the stream.

        Returns:
            "a" and "b", each [3, size, size] in [-1, 1], and "style", the texture's number, [].
        """
        style = self.style_of(number)
        return {"a": self.scenes([number])[0], "b": self.textures([style])[0], "style": torch.tensor(style)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return held-out scenes, and held-out textures or, with a fixed number of styles, the first ones.

        Returns:
            "a" [count, 3, size, size] and "b" [min(count, styles), 3, size, size] in [-1, 1].
        """
        held_out = range(_PREVIEW, _PREVIEW + count)
        styles = range(min(count, self.styles)) if self.styles else held_out
        return {"a": self.scenes(held_out), "b": self.textures(styles)}

    def scenes(self, numbers: Sequence[int]) -> Tensor:
        """Return scenes by number, [n, 3, size, size] in [-1, 1]."""
        return _batch([_scene(self._draws(_SCENE, number), self.size) for number in numbers])

    def textures(self, numbers: Sequence[int]) -> Tensor:
        """Return textures by number, [n, 3, size, size] in [-1, 1]."""
        return _batch([_texture(self._draws(_TEXTURE, number), number, self.size) for number in numbers])

    def _draws(self, kind: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, kind, number]))


def _batch(images: list[Plane]) -> Tensor:
    return torch.from_numpy(np.stack(images)).mul_(2).sub_(1)


def _scene(draws: np.random.Generator, size: int) -> Plane:
    """Return a background with a gradient of brightness and three shapes, [3, size, size] in [0, 1]."""
    canvas = Canvas.blank(size)  # coordinates from -1 to 1
    turn = draws.uniform(0, 2 * np.pi)
    slope = 0.5 + 0.35 * (canvas.x * np.cos(turn) + canvas.y * np.sin(turn))
    canvas.image[...] = np.array(draws.uniform(0.2, 0.9, 3), np.float32)[:, None, None] * slope
    for index in range(3):
        x, y = draws.uniform(-0.7, 0.7, 2)
        reach = draws.uniform(0.25, 0.5)
        color = colorsys.hsv_to_rgb(draws.uniform(), draws.uniform(0.3, 0.9), draws.uniform(0.2, 1.0))
        circle = index % 2 == 0
        shape = canvas.circle((x, y), reach) if circle else canvas.box((x, y), (reach, 0.7 * reach), 0.0)
        canvas.fill_(color, canvas.cover(shape))
    return canvas.image.clip(0, 1)


def _texture(draws: np.random.Generator, number: int, size: int) -> Plane:
    """Return stripes, checks, dots or waves of two colours, [3, size, size] in [0, 1]."""
    canvas = Canvas.blank(size)
    hue = (GOLDEN * (number % 2**30) + 0.1 * draws.uniform()) % 1
    dark = colorsys.hsv_to_rgb(hue, 0.8, draws.uniform(0.15, 0.45))
    light = colorsys.hsv_to_rgb((hue + draws.uniform(0.15, 0.5)) % 1, draws.uniform(0.3, 0.8), draws.uniform(0.75, 1))
    turn = draws.uniform(0, np.pi)
    along = (canvas.x * np.cos(turn) + canvas.y * np.sin(turn)) * draws.uniform(12, 20)
    across = (canvas.y * np.cos(turn) - canvas.x * np.sin(turn)) * draws.uniform(12, 20)
    along, across = along + draws.uniform(0, 6.3), across + draws.uniform(0, 6.3)
    wave = (
        np.sin(along),  # stripes
        np.sin(along) * np.sin(across),  # checks
        np.sin(along) + np.sin(across) - 0.6,  # dots
        np.sin(along + 1.5 * np.sin(across / 2)),  # waves
    )[number % 4]
    share = (0.5 + 2.5 * wave).clip(0, 1).astype(np.float32)
    canvas.image[...] = np.array(dark, np.float32)[:, None, None]
    canvas.fill_(light, share)
    return canvas.image
