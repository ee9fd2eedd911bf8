"""Which checkpoints stay: the last ones, every so many, and the best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from i2i.data import measured
from i2i.engine import checkpoint
from i2i.engine.hooks.best import Best
from i2i.engine.hooks.log import JSONLines
from i2i.engine.trainer import train
from i2i.errors import OptionError
from i2i.evaluation.training import TrainingEvaluation
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError


def test_every_so_many_stay_for_good(cheap: dict[str, object], tmp_path: Path) -> None:
    settings = cheap | {"train.checkpoint_every": 1, "train.keep_last": 1, "train.keep_every": 2}
    train(Recipe.read("pix2pix_small", settings), tmp_path / "run")
    assert sorted(checkpoint.listed(tmp_path / "run")) == [2, 4, 6]


def test_the_best_by_a_term_stays() -> None:
    best, accelerator = Best("generator/l1"), Accelerator()
    for step, values in enumerate(([3.0, 1.0], [1.5, 1.5], [0.5, 4.0]), 1):
        for value in values:
            best.add({"generator/l1": torch.tensor(value), "other": torch.tensor(0.0)})
        best.close(step, {}, accelerator)
    assert (best.step, best.value) == (2, 1.5)
    best.close(4, {}, accelerator)  # no step since
    assert best.state() == {"name": "generator/l1", "step": 2, "value": 1.5, "stale": 1, "compared": 3}
    again = Best("generator/l1")
    again.load(best.state(), accelerator)
    assert again.step == 2
    other = Best("generator/gan")
    other.load(best.state(), accelerator)
    assert other.step is None


def test_the_best_by_a_metric_stays(cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "DRAWN", 4)
    settings = cheap | {
        "train.checkpoint_every": 1,
        "train.keep_last": 1,
        "train.keep_best": "psnr",
        "optimizers.generator.lr": 0.01,
    }
    run = train(Recipe.read("pix2pix_small", settings), tmp_path / "run", extras=[TrainingEvaluation(), JSONLines()])
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    found = {line["step"]: line["metrics"]["psnr"] for line in lines if line["event"] == "checkpoint"}
    best = max(found, key=lambda step: found[step])
    assert run.best is not None
    assert run.best.step == best
    assert sorted(checkpoint.listed(tmp_path / "run")) == sorted({best, 6})
    state = {"name": "psnr", "step": best, "value": found[best], "stale": 6 - best, "compared": 6}
    assert checkpoint.find(tmp_path / "run").state["best"] == state


def test_what_cannot_be_followed_is_told(cheap: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"keep_best: no term or metric 'generator/l'. Did you mean 'generator/l1'"):
        Recipe.read("pix2pix_small", cheap | {"train.keep_best": "generator/l"})
    with pytest.raises(OptionError, match=r"train\.keep_best: ssim needs a data set with ground truth"):
        Best("ssim").check(object())
