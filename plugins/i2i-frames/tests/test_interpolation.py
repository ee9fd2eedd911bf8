"""Counts and rates, scene cuts, official files, and mistakes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_frames.interpolation import Interpolator, load_rife
from i2i_frames.rife import RIFE4
from i2i_frames.stage import Interpolate
from i2i_frames.warping import splat

from i2i.core.stages import ClipShape
from i2i.errors import CheckpointError, I2IError


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


def test_scenes_are_not_blended() -> None:
    random = np.random.default_rng(1)
    before, after = (random.integers(0, 255, (24, 32, 3), np.uint8) for _ in range(2))
    (between,) = Interpolator(device="cpu").between(before, after, 2)
    assert np.array_equal(between, before)


def test_an_official_file_is_loaded(tmp_path: Path) -> None:
    network = RIFE4((8, 8, 8, 8), 2)
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "flownet.pkl")
    loaded = load_rife(tmp_path / "flownet.pkl")
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    (between,) = Interpolator(tmp_path / "flownet.pkl", "cpu").between(*frames(0, 40), 2)
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
