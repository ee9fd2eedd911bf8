"""Shapes as signed distances, and a canvas that composites them with antialiased edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

_Side = Annotated[int, Ge(16)]
DrawnSize = _Side | tuple[_Side, _Side]
"""Side of square drawn images, or height and width, in pixels."""
Plane = NDArray[np.float32]
Point = tuple[float, float]
Color = tuple[float, float, float]

# Entries of an outline's table: at 512 pixels a chord between two of them still strays less than a pixel.
_TURN = 720


@dataclass(frozen=True)
class Canvas:
    """Pixels and their coordinates.

    `x` grows to the right and `y` downwards. A frame or a window of a canvas shares its pixels, so what is drawn there
    appears here too.

    Args:
        image: [3, H, W] in [0, 1]; channels come first, since numpy's inner loop would otherwise have length three.
        x: [H, W], coordinates of the pixels' centres.
        y: [H, W], likewise.
        step: from one pixel to its right neighbour, `x + i y`; its length is the pixel's side.
    """

    image: Plane
    x: Plane
    y: Plane
    step: complex

    @classmethod
    def blank(cls, size: int) -> Canvas:
        """A black square whose sides lie at -1 and 1."""
        axis = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
        x, y = np.meshgrid(axis, axis)
        return cls(np.zeros((3, size, size), np.float32), x, y, complex(2 / size))

    def frame(self, center: Point, tilt: float, scale: float) -> Canvas:
        """The same pixels in coordinates moved to `center`, turned clockwise by `tilt` rad and `scale` times larger."""
        turn = complex(np.exp(-1j * tilt)) / scale
        x, y = self.x - center[0], self.y - center[1]
        return Canvas(self.image, x * turn.real - y * turn.imag, x * turn.imag + y * turn.real, self.step * turn)

    def near(self, center: Point, radius: float) -> Canvas:
        """Only the pixels around `center`: a small shape costs no more than its own size."""
        if self.x.size == 0:
            return self
        offset = complex(center[0] - float(self.x[0, 0]), center[1] - float(self.y[0, 0])) / self.step
        reach = radius / abs(self.step) + 1.5
        rows = slice(max(0, int(offset.imag - reach)), max(0, int(offset.imag + reach) + 1))
        columns = slice(max(0, int(offset.real - reach)), max(0, int(offset.real + reach) + 1))
        return Canvas(self.image[:, rows, columns], self.x[rows, columns], self.y[rows, columns], self.step)

    def cover(self, distance: NDArray[np.floating], blur: float = 0.0) -> Plane:
        """How much of each pixel a shape covers: [H, W] in [0, 1]; `blur` widens the edge, in units of `x`."""
        share: Plane = np.clip(0.5 - distance * (1 / (abs(self.step) + blur)), 0, 1)
        return share

    def glow(self, center: Point, radius: Point) -> Plane:
        """A soft spot, `exp(-(x / rx)^2 - (y / ry)^2)`."""
        x, y = (self.x - center[0]) * (1 / radius[0]), (self.y - center[1]) * (1 / radius[1])
        spot: Plane = np.exp(-x * x - y * y)
        return spot

    def fill_(self, color: Color | Plane, alpha: Plane | float) -> None:
        """Blends a colour, or [3, H, W] colours, over the pixels with an opacity in [0, 1]."""
        top = np.asarray(color, np.float32)
        if top.ndim == 1:
            top = top[:, None, None]
        self.image[...] += alpha * (top - self.image)

    def circle(self, center: Point, radius: float) -> Plane:
        """Distance to a circle."""
        x, y = self.x - center[0], self.y - center[1]
        distance: Plane = np.sqrt(x * x + y * y) - radius
        return distance

    def ellipse(self, center: Point, radius: Point) -> Plane:
        """Distance to an ellipse, exact at its edge and a little short far from it."""
        x, y = (self.x - center[0]) * (1 / radius[0]), (self.y - center[1]) * (1 / radius[1])
        inside = np.sqrt(x * x + y * y)
        gradient = np.sqrt((x * (1 / radius[0])) ** 2 + (y * (1 / radius[1])) ** 2) + 1e-6
        distance: Plane = inside * (inside - 1) / gradient
        return distance

    def box(self, center: Point, half: Point, corner: float) -> Plane:
        """Distance to a rectangle of half sides `half` with corners rounded by radius `corner`."""
        x = np.abs(self.x - center[0]) - (half[0] - corner)
        y = np.abs(self.y - center[1]) - (half[1] - corner)
        outside = np.sqrt(np.maximum(x, 0) ** 2 + np.maximum(y, 0) ** 2)
        distance: Plane = outside + np.minimum(np.maximum(x, y), 0) - corner
        return distance

    def stroke(self, start: Point, end: Point, width: float, taper: float = 0.0) -> Plane:
        """Distance to a straight stroke; at its end it is thinner by the share `taper`."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        x, y = self.x - start[0], self.y - start[1]
        along: Plane = np.clip((x * dx + y * dy) * (1 / (dx * dx + dy * dy)), 0, 1)
        distance: Plane = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2) - width / 2 * (1 - taper * along)
        return distance

    def arc(self, center: Point, half: float, rise: float, width: float, slant: float = 0.0) -> Plane:
        """Distance to a bent stroke, a parabola `rise` above its two ends, thickest in its middle."""
        t = (self.x - center[0]) * (1 / half)
        bow = self.y - center[1] + rise * (1 - t * t) - slant * t
        steep = np.sqrt(1 + ((2 * rise * t + slant) / half) ** 2)
        thick = width / 2 * np.maximum(0.25, 1 - 0.75 * t * t)
        distance: Plane = np.maximum(np.abs(bow) / steep - thick, half * (np.abs(t) - 1))
        return distance

    def lens(self, center: Point, half: float, above: float, below: float, bend: float = 0.0) -> Plane:
        """Distance to the region between two parabolas that meet in two corners: an eye, a lip.

        `above` and `below` are the heights of the middle over and under the corners' line; `bend` lowers the
        middle of both, so that the corners rise.
        """
        t = (self.x - center[0]) * (1 / half)
        bow = 1 - t * t
        y = self.y - center[1] - bend * bow
        upper = (-y - above * bow) / np.sqrt(1 + (2 * (above - bend) * t / half) ** 2)
        lower = (y - below * bow) / np.sqrt(1 + (2 * (below + bend) * t / half) ** 2)
        distance: Plane = np.maximum(np.maximum(upper, lower), half * (np.abs(t) - 1))
        return distance


@dataclass(frozen=True)
class Outline:
    """A closed line given by its distance from a centre in each direction; it may not overhang.

    Args:
        center: from where the radii are measured.
        radius: [_TURN + 1], directions from -pi to pi, the first entry repeated at the end.
    """

    center: Point
    radius: Plane

    @classmethod
    def through(cls, points: Sequence[Point], center: Point, softness: float, wobble: Plane | None = None) -> Outline:
        """The line through points, rounded over `softness` rad; `wobble` [_TURN] is added to the radii."""
        x, y = (np.array(points) - center).T
        direction = np.linspace(-np.pi, np.pi, _TURN, endpoint=False)
        radius = np.interp(direction, np.arctan2(y, x), np.hypot(x, y), period=2 * np.pi)
        frequency = np.arange(_TURN // 2 + 1)
        radius = np.fft.irfft(np.fft.rfft(radius) * np.exp(-0.5 * (frequency * softness) ** 2), _TURN)
        if wobble is not None:
            radius = radius + wobble
        return cls(center, np.append(radius, radius[0]).astype(np.float32))

    def distance(self, canvas: Canvas) -> Plane:
        """Distance to the line, negative inside: [H, W]."""
        x, y = canvas.x - self.center[0], canvas.y - self.center[1]
        place = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32(_TURN / (2 * np.pi))
        index = np.clip(place.astype(np.int32), 0, _TURN - 1)
        change = np.diff(self.radius)
        radius = self.radius[index] + (place - index) * change[index]
        # A steep line is nearer than it looks along the ray from the centre.
        lean = 1 / np.sqrt(1 + (change * (_TURN / (2 * np.pi)) / self.radius[1:]) ** 2)
        distance: Plane = (np.sqrt(x * x + y * y) - radius) * lean.astype(np.float32)[index]
        return distance


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Points of a right half, and their images on the left."""
    return [*points, *[(-x, y) for x, y in points if x > 0]]


def directions() -> Plane:
    """The directions of an outline's table: [_TURN] in [-pi, pi), up being -pi / 2."""
    return np.linspace(-np.pi, np.pi, _TURN, endpoint=False).astype(np.float32)


def mixed(first: Color | Plane, second: Color | Plane, share: float | Plane) -> Plane:
    """`first` where `share` is 0, `second` where it is 1: [3, 1, 1] or [3, H, W]."""
    one, other = (np.asarray(color, np.float32) for color in (first, second))
    one, other = (color[:, None, None] if color.ndim == 1 else color for color in (one, other))
    return one + share * (other - one)
