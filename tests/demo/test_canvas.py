"""Distances are distances, edges are smooth, and a window shares its canvas's pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from i2i.demo.canvas import Canvas, Outline, mirrored


def test_a_shape_covers_its_area_at_any_size() -> None:
    for size in (16, 50, 128):
        canvas = Canvas.blank(size)
        pixel = (2 / size) ** 2
        circle = float(canvas.cover(canvas.circle((0.1, -0.2), 0.5)).sum()) * pixel
        assert circle == pytest.approx(math.pi * 0.25, rel=0.01)
        ellipse = float(canvas.cover(canvas.ellipse((0, 0), (0.7, 0.4))).sum()) * pixel
        assert ellipse == pytest.approx(math.pi * 0.28, rel=0.01)
        box = float(canvas.cover(canvas.box((0, 0), (0.6, 0.3), 0.0)).sum()) * pixel
        assert box == pytest.approx(0.72, rel=0.02)


def test_an_outline_through_a_circle_is_that_circle() -> None:
    turns = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    points = [(0.2 + 0.5 * math.cos(t), 0.5 * math.sin(t)) for t in turns]
    canvas = Canvas.blank(64)
    distance = Outline.through(points, (0.2, 0), 0.01).distance(canvas)
    assert np.abs(distance - canvas.circle((0.2, 0), 0.5)).max() < 1e-3


def test_a_frame_moves_turns_and_scales() -> None:
    frame = Canvas.blank(40).frame((0.3, -0.1), 0.2, 0.5)
    # What lies at (0.4, 0) in the frame lies at its centre plus 0.2 in the tilted direction.
    distance = np.hypot(frame.x - 0.4, frame.y)
    row, column = np.unravel_index(int(distance.argmin()), distance.shape)
    place = ((column + 0.5) * 0.05 - 1, (row + 0.5) * 0.05 - 1)
    assert place == pytest.approx((0.3 + 0.2 * math.cos(0.2), -0.1 + 0.2 * math.sin(0.2)), abs=0.026)
    assert abs(frame.step) == pytest.approx(0.1)


@pytest.mark.parametrize("center", [(0.0, 0.0), (0.9, -0.9), (-1.0, 0.5), (3.0, 3.0)])
def test_a_window_holds_all_of_its_disc(center: tuple[float, float]) -> None:
    whole, part = Canvas.blank(48).frame((0, 0), 0.3, 1.2), Canvas.blank(48).frame((0, 0), 0.3, 1.2)
    whole.fill_((1, 0.5, 0.25), whole.cover(whole.circle(center, 0.2)))
    window = part.near(center, 0.2)
    window.fill_((1, 0.5, 0.25), window.cover(window.circle(center, 0.2)))
    np.testing.assert_allclose(part.image, whole.image, atol=1e-6)
    assert window.x.size < whole.x.size


def test_fill_blends_by_opacity() -> None:
    canvas = Canvas.blank(4)
    canvas.fill_((1.0, 0.0, 0.5), 1.0)
    canvas.fill_((0.0, 1.0, 0.5), 0.25)
    np.testing.assert_allclose(canvas.image[:, 0, 0], [0.75, 0.25, 0.5])


def test_mirrored_leaves_the_axis_alone() -> None:
    assert mirrored([(0, 1), (0.5, 2)]) == [(0, 1), (0.5, 2), (-0.5, 2)]
