"""Schedules of the learning rate, U-GAT-IT's against the official code's own list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from i2i.engine.schedules import Constant, Cosine, EpochDecay, Inverse, LinearDecay


def test_linear_decay_is_the_official_one(golden: Path) -> None:
    for case in json.loads((golden / "ugatit" / "lr_schedule.json").read_text()):
        schedule = LinearDecay(case["iteration"])
        for step, rate in enumerate(case["lr_at_step_1_to_N"]):
            # for an odd number of steps the official code ends below zero, which nobody wants
            assert case["lr"] * schedule(step) == pytest.approx(max(0.0, rate), rel=1e-12, abs=1e-18)


def test_linear_decay_from_the_start_falls_by_equal_amounts() -> None:
    schedule = LinearDecay(4, start=0.0)
    assert [schedule(step) for step in range(4)] == [0.75, 0.5, 0.25, 0.0]


def test_linear_decay_that_never_begins() -> None:
    assert LinearDecay(4, start=1.0)(2) == 1.0


def test_constant() -> None:
    assert {Constant()(step) for step in (0, 5, 10**6)} == {1.0}


def test_cosine_rises_then_falls_to_its_floor() -> None:
    schedule = Cosine(12, warmup=2, floor=0.1)
    assert schedule(0) == 0.5
    assert schedule(2) == 1.0
    assert schedule(7) == pytest.approx(0.55)
    assert schedule(12) == pytest.approx(0.1)


@pytest.mark.parametrize(("constant", "falling"), [(200, 200), (150, 50), (2, 3)])
def test_epoch_decay_steps_at_the_end_of_each_epoch(constant: int, falling: int) -> None:
    epochs, per_epoch = constant + falling, 3
    schedule = EpochDecay(epochs * per_epoch, epochs, start=constant / epochs)
    # CUT counts epochs from 1: full rate up to number `constant`, then one part in `falling + 1` less after each.
    numbers = [epoch for epoch in range(1, epochs + 1) for _ in range(per_epoch)]
    expected = [1 - max(0, number - constant) / (falling + 1) for number in numbers]
    assert [schedule(step) for step in range(epochs * per_epoch)] == pytest.approx(expected)
    assert schedule(epochs * per_epoch - 1) == pytest.approx(1 / (falling + 1))


def test_inverse_halves_after_as_many_steps_as_one_over_its_decay() -> None:
    schedule = Inverse(5e-5)
    assert schedule(0) == 1
    assert schedule(20_000) == pytest.approx(0.5)
    assert schedule(160_000) == pytest.approx(1 / 9)
