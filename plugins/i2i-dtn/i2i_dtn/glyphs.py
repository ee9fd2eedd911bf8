"""Ten digits in two fonts as polylines, and the distance of pixels to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]
"""Points [n, 2]."""
Plane = NDArray[np.float32]
Point = tuple[float, float]


def straight(*points: Point) -> Line:
    """Return a polyline through points."""
    return np.array(points)


def curve(*points: Point, closed: bool = False) -> Line:
    """Return a Catmull-Rom spline through points."""
    known = np.array(points)
    first, last = (known[-1], known[0]) if closed else (2 * known[0] - known[1], 2 * known[-1] - known[-2])
    ends = [last, known[1]] if closed else [last]
    known = np.vstack([first, known, *ends])
    t = np.linspace(0, 1, 5)[:-1, None]
    parts = []
    for p, q, r, s in zip(known, known[1:], known[2:], known[3:], strict=False):
        bend = (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3
        parts.append(q + 0.5 * ((r - p) * t + bend))
    return np.vstack([*parts, known[-2:-1]])


def oval(center: Point, radius: Point) -> Line:
    """Return an ellipse."""
    turn = np.linspace(0, 2 * math.pi, 17)
    return np.stack([center[0] + radius[0] * np.sin(turn), center[1] - radius[1] * np.cos(turn)], 1)


# x to the right and y downwards; a digit reaches from -0.5 to 0.5 and from -0.8 to 0.8.
PRINTED: tuple[tuple[Line, ...], ...] = (
    (oval((0, 0), (0.45, 0.8)),),
    (straight((-0.3, -0.5), (0.05, -0.8), (0.05, 0.8)), straight((-0.3, 0.8), (0.4, 0.8))),
    (
        curve((-0.45, -0.45), (-0.3, -0.73), (0, -0.8), (0.35, -0.68), (0.42, -0.35), (0.2, 0.1), (-0.45, 0.8)),
        straight((-0.45, 0.8), (0.48, 0.8)),
    ),
    (
        curve((-0.42, -0.6), (-0.15, -0.8), (0.2, -0.78), (0.4, -0.5), (0.3, -0.15), (-0.08, -0.03)),
        curve((-0.08, -0.03), (0.32, 0.05), (0.48, 0.4), (0.3, 0.73), (-0.1, 0.8), (-0.45, 0.6)),
    ),
    (straight((0.2, 0.8), (0.2, -0.8), (-0.5, 0.35), (0.5, 0.35)),),
    (
        straight((0.4, -0.8), (-0.32, -0.8), (-0.38, -0.12)),
        curve((-0.38, -0.12), (0, -0.25), (0.38, -0.05), (0.46, 0.32), (0.28, 0.7), (-0.1, 0.8), (-0.44, 0.62)),
    ),
    (curve((0.36, -0.72), (-0.02, -0.78), (-0.35, -0.4), (-0.45, 0.3)), oval((0, 0.32), (0.45, 0.48))),
    (straight((-0.46, -0.8), (0.46, -0.8), (-0.12, 0.8)),),
    (oval((0, -0.4), (0.36, 0.4)), oval((0, 0.4), (0.45, 0.4))),
    (oval((0, -0.32), (0.45, 0.48)), straight((0.45, -0.32), (0.42, 0.8))),
)
WRITTEN: tuple[tuple[Line, ...], ...] = (
    (curve((0.1, -0.8), (-0.35, -0.45), (-0.4, 0.3), (-0.05, 0.78), (0.38, 0.4), (0.38, -0.4), (0.0, -0.75)),),
    (straight((0, -0.8), (0, 0.8)),),
    (
        curve(
            *((-0.4, -0.5), (-0.1, -0.8), (0.32, -0.6), (0.2, -0.05), (-0.35, 0.65), (-0.4, 0.75)),
            *((-0.1, 0.58), (0.2, 0.75), (0.5, 0.68)),
        ),
    ),
    (
        curve(
            *((-0.4, -0.7), (0.1, -0.8), (0.38, -0.5), (0.15, -0.15), (-0.15, -0.05)),
            *((0.25, 0.1), (0.42, 0.45), (0.1, 0.8), (-0.4, 0.65)),
        ),
    ),
    (curve((-0.3, -0.75), (-0.42, -0.1), (-0.3, 0.05), (0.4, 0.0)), straight((0.3, -0.6), (0.2, 0.8))),
    (
        curve((-0.25, -0.75), (-0.35, -0.15), (0.1, -0.22), (0.42, 0.2), (0.2, 0.7), (-0.4, 0.72)),
        straight((-0.25, -0.75), (0.42, -0.72)),
    ),
    (
        curve(
            *((0.25, -0.8), (-0.2, -0.4), (-0.42, 0.2), (-0.2, 0.72), (0.2, 0.75), (0.4, 0.4)),
            *((0.15, 0.08), (-0.2, 0.25), (-0.35, 0.45)),
        ),
    ),
    (curve((-0.42, -0.7), (0, -0.72), (0.42, -0.75), (0.15, -0.1), (-0.1, 0.8)), straight((-0.2, 0.0), (0.38, -0.05))),
    (
        curve(
            *((0.35, -0.6), (0, -0.8), (-0.33, -0.5), (-0.1, -0.1), (0.3, 0.3), (0.25, 0.7)),
            *((-0.1, 0.8), (-0.35, 0.5), (-0.1, 0.05), (0.3, -0.3), (0.35, -0.6)),
        ),
    ),
    (
        curve(
            *((0.35, -0.55), (0.0, -0.8), (-0.36, -0.5), (-0.2, -0.1), (0.15, -0.15), (0.36, -0.6)),
            *((0.33, 0.2), (0.1, 0.8)),
        ),
    ),
)


def distance(lines: Sequence[Line], x: Plane, y: Plane) -> Plane:
    """Return the distance of each pixel [H, W] to the nearest of several polylines."""
    starts = np.vstack([line[:-1] for line in lines]).astype(np.float32)
    segments = np.vstack([line[1:] - line[:-1] for line in lines]).astype(np.float32)
    (start_x, start_y), (segment_x, segment_y) = starts.T[..., None, None], segments.T[..., None, None]
    from_x, from_y = x - start_x, y - start_y
    share = (from_x * segment_x + from_y * segment_y) / np.maximum(segment_x**2 + segment_y**2, 1e-12)
    np.clip(share, 0, 1, out=share)
    nearest: Plane = np.sqrt(((from_x - share * segment_x) ** 2 + (from_y - share * segment_y) ** 2).min(0))
    return nearest
