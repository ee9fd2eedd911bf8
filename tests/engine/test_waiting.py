"""How long steps wait for their data is logged, and told where it matters."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from i2i.demo.portraits import Portraits
from i2i.engine.hooks import console, symptoms
from i2i.engine.hooks.console import Console
from i2i.engine.hooks.diagnostics import Diagnostics
from i2i.engine.hooks.log import JSONLines
from i2i.engine.hooks.symptoms import starved
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe


def test_a_tenth_of_the_time_is_worth_a_word() -> None:
    assert starved(1000, 90, 2) is None
    assert starved(20, 9, 2) is None  # short
    said = starved(1000, 250, 2)
    assert said is not None
    assert said.startswith("25% of the time was spent waiting for data. Raise train.workers (now 2)")


def trained(settings: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    train(Recipe.read("ugatit_small", settings), folder, extras=[Diagnostics(), JSONLines(), Console()])
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.thorough
def test_slow_data_is_logged_and_told(
    tiny: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(console, "say", lines.append)
    monkeypatch.setattr(symptoms, "SHORT", 0.5)
    draw = Portraits.__getitem__
    monkeypatch.setattr(Portraits, "__getitem__", lambda self, number: time.sleep(0.5) or draw(self, number))
    with caplog.at_level(logging.WARNING, logger="i2i"):
        log = trained(tiny | {"train.steps": 2, "train.batch_size": 1}, tmp_path / "slow")
    steps = [line for line in log if line["event"] == "step"]
    assert len(steps) == 2
    assert all(0.1 < line["wait"] <= 1 for line in steps)
    told = [line for line in lines if line.startswith("step ")]
    assert all("% waiting for data" in line for line in told)
    assert told
    assert "of the time was spent waiting for data. Raise train.workers (now 0)" in caplog.text
    assert log[-1]["event"] == "finished"
    assert "Raise train.workers" in log[-1]["findings"][-1]


@pytest.mark.thorough
def test_data_that_comes_in_time_is_not_mentioned(
    tiny: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(console, "say", lines.append)
    ready = Portraits(count=4, size=32)[0]
    monkeypatch.setattr(Portraits, "__getitem__", lambda self, number: ready)
    log = trained(tiny | {"train.steps": 3}, tmp_path / "quick")
    assert all(0 <= line["wait"] < 0.1 for line in log if line["event"] == "step")
    assert not any("waiting" in line for line in lines)
    assert log[-1]["findings"] == []
