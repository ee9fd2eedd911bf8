"""Schedules by epoch against the official schedulers' numbers, and the image pool against its queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.engine.epochs import EpochCosine, EpochLinear, Epochs, EpochStep
from i2i.methods.pool import ImagePool


def schedule_of(config: dict[str, Any], steps_per_epoch: int) -> Epochs:
    if config["lr_policy"] == "linear":
        return EpochLinear(steps_per_epoch, config["n_epochs"], config["n_epochs_decay"], config["epoch_count"])
    if config["lr_policy"] == "step":
        return EpochStep(steps_per_epoch, config["lr_decay_iters"])
    return EpochCosine(steps_per_epoch, config["n_epochs"])


def test_official_rates(golden: Path) -> None:
    cases = json.loads((golden / "cyclegan" / "lr_schedule.json").read_text())
    assert cases
    for case in cases:
        rates = case["lr_before_first_then_after_each_scheduler_step"]
        schedule = schedule_of(case, steps_per_epoch=7)
        for changes, rate in enumerate(rates):
            assert case["lr"] * schedule.factor(changes) == pytest.approx(rate, rel=1e-12, abs=1e-19)
        # Epoch e, counted from 1, trains with the rate after e changes.
        for epoch, rate in enumerate(rates[1:], start=1):
            for step in (7 * (epoch - 1), 7 * epoch - 1):
                assert case["lr"] * schedule(step) == pytest.approx(max(0.0, rate), rel=1e-12, abs=1e-19)


def test_rates_that_change_at_the_end_of_an_epoch() -> None:
    late = EpochLinear(10, constant=2, decay=2, moment="end")
    assert [late(step) for step in (0, 19, 20, 30, 39)] == pytest.approx([1, 1, 2 / 3, 1 / 3, 1 / 3])
    early = EpochLinear(10, constant=2, decay=2)
    assert [early(step) for step in (0, 9, 10, 20, 30, 40)] == pytest.approx([1, 1, 2 / 3, 1 / 3, 0, 0])


class Recorded:
    """Draws that were written down, in their order."""

    def __init__(self, draws: list[tuple[str, float]]) -> None:
        self.draws = list(draws)

    def uniform(self, low: float, high: float) -> float:
        return self._next("uniform")

    def randint(self, low: int, high: int) -> int:
        return int(self._next("randint"))

    def _next(self, kind: str) -> float:
        found, value = self.draws.pop(0)
        assert found == kind
        return value


def test_official_image_pool(golden: Path) -> None:
    for case in json.loads((golden / "cyclegan" / "image_pool.json").read_text()):
        pool = ImagePool(case["pool_size"])
        for query in case["queries"]:
            draws = Recorded(query["draws"])
            images = torch.tensor(query["given"], dtype=torch.float32).view(-1, 1, 1, 1)
            returned = pool.exchange(images, draws)  # type: ignore[arg-type]  # has what a pool asks for
            assert returned.flatten().tolist() == query["returned"]
            assert not draws.draws
