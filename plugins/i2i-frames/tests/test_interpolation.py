"""Counts and rates, scene cuts, official files, and mistakes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_frames.interpolation import Interpolator, load_rife
from i2i_frames.rife import RIFE4
from i2i_frames.sprites import MovingSprites
from i2i_frames.stage import Interpolate
from i2i_frames.warping import splat

from i2i.core.stages import ClipShape
from i2i.data.images import to_image
from i2i.demo.portraits import Portraits
from i2i.errors import CheckpointError, I2IError, OptionError

HALF = Fraction(1, 2)


def frames(*levels: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    pattern = np.random.default_rng(0).integers(0, 60, (24, 32, 3), np.uint8)
    return [pattern + np.uint8(level) for level in levels]


def test_counts_rates_and_times_between() -> None:
    clip, stage = frames(0, 40, 80), Interpolate(times=4)
    shape = stage.plan(ClipShape(32, 24, Fraction(25), 3))
    assert (shape.rate, shape.frames) == (100, 9)
    found = list(stage.frames(iter(clip)))
    assert [round(float(frame.mean() - clip[0].mean())) for frame in found] == list(range(0, 81, 10))
    for index in (0, 3, 4, 7, 8):
        first, dropped = stage.restart(index)
        assert np.array_equal(list(stage.frames(iter(clip[first:])))[dropped], found[index])
    with pytest.raises(I2IError, match="at least two"):
        stage.plan(ClipShape(32, 24, Fraction(0), 1))


@pytest.mark.parametrize(
    ("rate", "count", "step"),
    [(50, 13, "1/2"), ("30000/1001", 8, "1001/1200"), (10, 3, "5/2"), (29.97, 8, "2500/2997")],
)
def test_any_rate(rate: float | str, count: int, step: str) -> None:
    clip, stage = frames(*range(0, 70, 10)), Interpolate(rate=rate, detect_cuts=False)
    with pytest.raises(I2IError, match="call plan"):
        stage.restart(0)
    shape = stage.plan(ClipShape(32, 24, Fraction(25), 7))
    assert (shape.rate, shape.frames) == (25 / Fraction(step), count)
    assert abs(count / shape.rate - Fraction(7, 25)) <= max(1 / shape.rate, Fraction(1, 25))
    found = list(stage.frames(iter(clip)))
    levels = [float(frame.mean() - clip[0].mean()) for frame in found]
    assert levels == pytest.approx([10 * number * float(Fraction(step)) for number in range(count)], abs=0.6)
    for index in range(count):
        first, dropped = stage.restart(index)
        assert np.array_equal(list(stage.frames(iter(clip[first:])))[dropped], found[index])


@pytest.mark.parametrize("rate", [0, -25, "fast", "1/0", float("nan"), float("inf"), 1e9])
def test_a_rate_that_is_none_is_refused(rate: float | str) -> None:
    with pytest.raises(OptionError, match="frames per second"):
        Interpolate(rate=rate)
    with pytest.raises(OptionError, match="both"):
        Interpolate(times=2, rate=50)


def test_scenes_are_not_blended() -> None:
    random = np.random.default_rng(1)
    noise, noise_after = (random.integers(0, 255, (24, 32, 3), np.uint8) for _ in range(2))
    (between,) = Interpolator(device="cpu").at(noise, noise_after, [HALF])
    assert np.array_equal(between, noise)
    scenes, portraits = MovingSprites(size=64), Portraits(size=64)
    for number in range(8):
        scene, other = (scenes.scene(n).frame(0, 64)[0] for n in (number, number + 1))
        moved, drawn, photo = scenes.scene(number).frame(1, 64)[0], *(portraits[number][k] for k in "ab")
        first, cut, motion, portrait, face = (np.asarray(to_image(x)) for x in (scene, other, moved, drawn, photo))
        (between,) = Interpolator(device="cpu").at(first, cut, [HALF])
        assert np.array_equal(between, first)
        (between,) = Interpolator(device="cpu").at(first, portrait, [HALF])
        assert np.array_equal(between, first)
        (between,) = Interpolator(device="cpu").at(first, motion, [HALF])
        assert not np.array_equal(between, first)  # sprites that move are one scene
        brighter = np.minimum(portrait, 215) + np.uint8(40)
        (between,) = Interpolator(device="cpu").at(portrait, brighter, [HALF])
        assert not np.array_equal(between, portrait)
        (between,) = Interpolator(device="cpu").at(portrait, face, [HALF])
        assert np.array_equal(between, portrait)
    (between,) = Interpolator(device="cpu", detect_cuts=False).at(first, cut, [HALF])
    assert not np.array_equal(between, first)


def test_an_official_file_is_loaded(tmp_path: Path) -> None:
    network = RIFE4((8, 8, 8, 8), 2)
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "flownet.pkl")
    loaded = load_rife(tmp_path / "flownet.pkl")
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    (between,) = Interpolator(tmp_path / "flownet.pkl", "cpu").at(*frames(0, 40), [HALF])
    assert between.shape == (24, 32, 3)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pkl")
    with pytest.raises(CheckpointError, match=r"RIFE 4\.0"):
        load_rife(tmp_path / "other.pkl")


def test_the_nearer_pixel_wins() -> None:
    image = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    flow = torch.zeros(1, 2, 1, 3)
    flow[0, 0] = torch.tensor([[2.0, 0.0, 0.0]])
    near = torch.tensor([[[[20.0, 0.0, 0.0]]]])
    assert float(splat(image, flow, near)[0, 0, 0, 2]) == pytest.approx(1, abs=1e-3)
    assert float(splat(image, flow, -near)[0, 0, 0, 2]) == pytest.approx(3, abs=1e-3)
