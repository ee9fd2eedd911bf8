"""A run that is stopped and resumed is the run that was never stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint
from i2i.engine.hooks.log import JSONLines
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.run import Run, local_state
from i2i.engine.trainer import train
from i2i.errors import CheckpointError
from i2i.recipe.recipe import Recipe

CASES = {
    "plain": {},
    "pool, ema, accumulation": {
        "translator.pool": 3,
        "translator.order": ["generator", "discriminator"],
        "train.ema": 0.9,
        "train.accumulate": 2,
        "train.batch_size": 1,
    },
    "workers": {"train.workers": 2},
}


def everything(run: Run) -> dict[str, torch.Tensor]:
    """All tensors that a step depends on."""
    found = dict(run.translator.state_dict())
    for phase, optimizer in run.stepper.optimizers.items():
        found |= {f"{phase}/{name}": value for name, value in split_optimizer(optimizer)[0].items()}
    found |= {f"local/{name}": value for name, value in local_state(run.translator).items()}
    if run.stepper.ema is not None:
        found |= {f"ema/{name}": value for name, value in run.stepper.ema.average.items()}
    return found


def log_of(run: Run) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    return [{"step": line["step"], "terms": line["terms"]} for line in lines if line["event"] == "step"]


class StopAfter:
    """Asks a run to stop as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.thorough] * ("pool" in case)) for case in CASES]
)
def test_resume_is_exact(case: str, tiny: dict[str, object], cheap: dict[str, object], tmp_path: Path) -> None:
    name, settings = ("ugatit_small", tiny) if "pool" in case else ("pix2pix_small", cheap)
    recipe = Recipe.read(name, settings | CASES[case] | {"train.steps": 4})
    whole = train(recipe, tmp_path / "whole", extras=[JSONLines()])
    stopped = train(recipe, tmp_path / "stopped", extras=[JSONLines(), StopAfter(2)])
    assert stopped.interrupted
    assert stopped.step == 2
    saved = checkpoint.find(tmp_path / "stopped")
    resumed = train(Recipe.read(tmp_path / "stopped" / "recipe.toml"), tmp_path / "stopped", saved, [JSONLines()])
    assert resumed.step == whole.step == 4
    expected, got = everything(whole), everything(resumed)
    assert expected.keys() == got.keys()
    assert len(expected) > (100 if "pool" in case else 50)
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name
    assert log_of(resumed) == log_of(whole)


def test_a_killed_run_leaves_no_line_twice(cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", cheap | {"train.checkpoint_every": 2, "train.steps": 5})
    whole = train(recipe, tmp_path / "whole", extras=[JSONLines()])
    folder = tmp_path / "whole"
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"event": "step", "step": 5, "ter')  # killed while writing
    shutil.rmtree(checkpoint.listed(folder)[5])
    resumed = train(recipe, folder, checkpoint.find(folder), [JSONLines()])
    assert [line["step"] for line in log_of(resumed)] == [1, 2, 3, 4, 5]
    assert resumed.start == 4
    assert whole.step == resumed.step


def test_an_earlier_run_is_never_written_over(cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", cheap | {"train.steps": 1})
    train(recipe, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"run already contains a run: continue it with --resume .*run or choose"):
        train(recipe, tmp_path / "run")


def test_a_checkpoint_of_another_recipe_is_refused(cheap: dict[str, object], tmp_path: Path) -> None:
    train(Recipe.read("pix2pix_small", cheap | {"train.steps": 1}), tmp_path / "run")
    other = Recipe.read("pix2pix_small", cheap | {"train.steps": 2, "translator.discriminators.local.channels": 6})
    with pytest.raises(
        CheckpointError,
        match=r"discriminators\.local\.\S+ \[4, .*\] instead of \[6, .* --set train\.init=.*step-0000001$",
    ):
        train(other, tmp_path / "run", checkpoint.find(tmp_path / "run"))


def test_averaging_from_a_checkpoint_on_begins_with_what_was_learnt(cheap: dict[str, object], tmp_path: Path) -> None:
    settings = cheap | {"train.steps": 2, "optimizers.generator.lr": 0.01}
    first = train(Recipe.read("pix2pix_small", settings), tmp_path / "run")
    learnt = {name: value.clone() for name, value in first.translator.state_dict().items()}
    recipe = Recipe.read("pix2pix_small", settings | {"train.steps": 3, "train.ema": 0.999})
    run = train(recipe, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    assert run.stepper.ema is not None
    for name, average in run.stepper.ema.average.items():
        expected = 0.999 * learnt[name] + 0.001 * run.translator.state_dict()[name]
        torch.testing.assert_close(average, expected, rtol=1e-4, atol=1e-7)


def test_an_optimizers_numbers_may_change_on_resume(cheap: dict[str, object], tmp_path: Path) -> None:
    train(Recipe.read("pix2pix_small", cheap | {"train.steps": 1}), tmp_path / "run")
    changed = {"train.steps": 2, "optimizers.generator.betas": [0.9, 0.99], "optimizers.generator.weight_decay": 0.0}
    run = train(Recipe.read("pix2pix_small", cheap | changed), tmp_path / "run", checkpoint.find(tmp_path / "run"))
    group = run.stepper.optimizers["generator"].param_groups[0]
    assert (group["betas"], group["weight_decay"]) == ((0.9, 0.99), 0.0)


@pytest.mark.parametrize(("option", "value"), [("type", "sgd"), ("amsgrad", True)])
def test_what_an_optimizer_remembers_may_not(
    cheap: dict[str, object], tmp_path: Path, option: str, value: object
) -> None:
    settings = cheap | {"optimizers.generator": {"type": "adam", "lr": 1e-4}}
    train(Recipe.read("pix2pix_small", settings | {"train.steps": 1}), tmp_path / "run")
    before = (tmp_path / "run" / "recipe.toml").read_text()
    other = Recipe.read("pix2pix_small", settings | {f"optimizers.generator.{option}": value, "train.steps": 2})
    with pytest.raises(
        CheckpointError, match=rf"optimizers.generator.{option}: .* this option can only be changed in a new run"
    ):
        train(other, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    assert (tmp_path / "run" / "recipe.toml").read_text() == before
