"""Interpolation and enlargement in one pipeline: both orders agree in counts and sizes, and memory stays the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from i2i_upscale.stage import Upscale

from i2i.core.stages import ClipShape

stage = pytest.importorskip("i2i_frames.stage", reason="the plugin i2i-frames is not installed")


def clip(count: int) -> Iterator[Any]:
    for number in range(count):
        yield np.full((9, 14, 3), number % 200, np.uint8)


def both() -> tuple[list[Any], list[Any]]:
    return [stage.Interpolate(times=3, device="cpu"), Upscale(scale=2, device="cpu")], [
        Upscale(scale=2, device="cpu"),
        stage.Interpolate(times=3, device="cpu"),
    ]


def test_both_orders_agree_in_counts_and_sizes() -> None:
    planned, found = [], []
    for stages in both():
        shape, frames = ClipShape(14, 9, Fraction(30000, 1001), 7), clip(7)
        for one in stages:
            shape, frames = one.plan(shape), one.frames(frames)
        planned.append(shape)
        found.append([frame.shape for frame in frames])
    assert planned[0] == planned[1] == ClipShape(28, 18, Fraction(90000, 1001), 19)
    assert found[0] == found[1] == [(18, 28, 3)] * 19
    assert abs(19 / planned[0].rate - 7 / Fraction(30000, 1001)) <= Fraction(1001, 30000)


def test_the_number_of_tensors_stays_the_same_from_20_to_200_frames() -> None:
    for stages in both():
        frames = clip(70)
        for one in stages:
            one.plan(ClipShape(14, 9, Fraction(25), 70))
            frames = one.frames(frames)
        counts = {}
        for number, _ in enumerate(frames, 1):
            if number in (20, 200):
                gc.collect()
                counts[number] = sum(isinstance(one, torch.Tensor) for one in gc.get_objects())
        assert counts[20] == counts[200]
