"""Drawn boxes with known poses: a tall box before a low one, seen from any side."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Positive
from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i_cips3d.camera import FRONT, camera_origin, camera_rays, camera_to_world

_PREVIEW = 2**60  # drawings from here on are not used in training
BACKGROUND = (0.15, 0.17, 0.22)
SHADES = (0.6, 1.0, 0.85)
"""Brightness of faces across the axes x (left and right), y (above and below) and z (front and back)."""
HUES = ((0.0, 0.15), (0.5, 0.67))
"""Ranges of the hues of the tall and the low box where there are two colours."""
FOV = 12.0
OVERSAMPLING = 2


class Box(NamedTuple):
    """A box with sides along the axes.

    Args:
        low: smallest x, y, z.
        high: largest x, y, z.
        color: red, green, blue in [0, 1].
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    color: tuple[float, float, float]


def render_boxes(boxes: list[Box], yaw: float, pitch: float, size: int) -> tuple[Tensor, Tensor]:
    """Return an image [3, size, size] in [-1, 1] of boxes, and the share of each pixel that they cover [size, size].

    Args:
        boxes: the nearest one is seen.
        yaw: of the camera in radians; pi / 2 for the front.
        pitch: of the camera in radians; pi / 2 for its height.
        size: side in pixels.
    """
    fine = size * OVERSAMPLING
    # Rays of a fine grid whose means are the pixels: the outermost pixel centres are at -1 and 1, as the generator's.
    rays = camera_rays(fine, fine, FOV * (size - 1 / OVERSAMPLING) / (size - 1), 0.9, 1.1, 2)
    matrix = camera_to_world(camera_origin(torch.tensor([pitch]), torch.tensor([yaw])))[0]
    directions, origin = rays.directions @ matrix[:3, :3].T, matrix[:3, 3]
    nearest = torch.full((fine * fine,), math.inf)
    color = torch.tensor(BACKGROUND).repeat(fine * fine, 1)
    for box in boxes:
        bounds = torch.tensor([box.low, box.high])
        times = (bounds[:, None] - origin) / directions
        entry, axis = times.min(0).values.max(1)
        hit = (entry < times.max(0).values.min(1).values) & (entry < nearest)
        shaded = torch.tensor(box.color) * torch.tensor(SHADES)[axis][:, None]
        color, nearest = torch.where(hit[:, None], shaded, color), torch.where(hit, entry, nearest)
    covered = nearest.isfinite().float()[:, None]
    planes = torch.cat([color, covered], 1).view(size, OVERSAMPLING, size, OVERSAMPLING, 4).mean((1, 3))
    return 2 * planes[..., :3].permute(2, 0, 1) - 1, planes[..., 3]


class DrawnBoxes(ImageDataset):
    """A tall box that stands before a low one, in random colours and sizes, seen by cameras of known yaw and pitch.

    Seen from the left, the tall box is further to the right. Streams: `image`, and `pose`, that is yaw and pitch in
    radians, [2, 1, 1], each pi / 2 for the front.

    Args:
        size: side of the images in pixels.
        count: number of samples in an epoch; the stream itself is endless.
        yaw_std: standard deviation of the yaw in radians.
        pitch_std: standard deviation of the pitch in radians.
        colors: `any` for random colours, `two` for a tall box from red to yellow and a low one from cyan to blue.
        seed: seed of all drawings, >= 0.
    """

    domains = ("image",)

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Positive = 2000,
        yaw_std: Annotated[float, Ge(0)] = 0.3,
        pitch_std: Annotated[float, Ge(0)] = 0.1,
        colors: Literal["any", "two"] = "any",
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.seed = size, count, seed
        self.yaw_std, self.pitch_std, self.colors = yaw_std, pitch_std, colors

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare images, and their poses, [2, 1, 1]."""
        return super().declare_streams(options) | {"pose": Stream("raw", 2, (1, 1), (0.0, math.pi))}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def boxes(self, draws: np.random.Generator) -> list[Box]:
        """Draw the two boxes of a scene."""
        width, height, length = (float(value) for value in draws.uniform((0.016, 0.05, 0.03), (0.026, 0.075, 0.045)))
        if self.colors == "any":
            tall, low = (tuple(float(value) for value in draws.uniform(0.2, 1, 3)) for _ in range(2))
        else:
            tall, low = (colorsys.hsv_to_rgb(float(draws.uniform(*hues)), 0.8, 0.95) for hues in HUES)
        return [
            Box((-width, -0.07, 0.035), (width, height, 0.035 + 2 * width), tall),  # type: ignore[arg-type]
            Box((-length, -0.07, -0.075), (length, -0.01, -0.02), low),  # type: ignore[arg-type]
        ]

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0: "image" [3, size, size] in [-1, 1], and "pose" [2, 1, 1]."""
        if number < 0:
            raise IndexError(f"drawn_boxes: samples are numbered from 0, got {number}")
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        boxes = self.boxes(draws)
        yaw, pitch = FRONT + draws.normal(size=2) * (self.yaw_std, self.pitch_std)
        image, _ = render_boxes(boxes, float(yaw), float(pitch), self.size)
        return {"image": image, "pose": torch.tensor([yaw, pitch], dtype=torch.float32).view(2, 1, 1)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return drawings that are not trained on, by stream."""
        samples = [self[number] for number in range(_PREVIEW, _PREVIEW + count)]
        return {name: torch.stack([sample[name] for sample in samples]) for name in ("image", "pose")}
