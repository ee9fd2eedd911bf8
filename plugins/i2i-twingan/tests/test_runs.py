"""Runs: exact resume across a change of stage, and loading at the stage of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

import i2i
from i2i.engine import checkpoint
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

RENORM = {"translator.generator.norm": "renorm", "translator.generator.rgb_norm": "renorm"}


def full_state(run: Run) -> dict[str, torch.Tensor]:
    """Return all tensors that a step depends on."""
    state = dict(run.translator.state_dict())
    for phase, optimizer in run.stepper.optimizers.items():
        state |= {f"{phase}/{name}": value for name, value in split_optimizer(optimizer)[0].items()}
    return state


def test_resume_is_exact_across_a_stage_change(tiny: dict[str, Any], tmp_path: Path) -> None:
    """The second stage starts at step 4: the run is stopped just before it, and during its fade."""
    settings = tiny | RENORM | {"train.steps": 8, "train.ema": 0.9}
    expected = full_state(train(Recipe.read("twingan_small", settings), tmp_path / "whole"))
    folder = tmp_path / "stopped"
    train(Recipe.read("twingan_small", settings | {"train.steps": 4}), folder)
    train(Recipe.read("twingan_small", settings | {"train.steps": 6}), folder, checkpoint.find(folder))
    resumed = train(Recipe.read("twingan_small", settings), folder, checkpoint.find(folder))
    assert resumed.start == 6
    state = full_state(resumed)
    assert expected.keys() == state.keys()
    assert len(expected) > 100
    for name, value in expected.items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize(("steps", "size", "alpha"), [(4, 8, 1.0), (5, 16, 0.0), (7, 16, 0.5)])
def test_a_loaded_run_has_the_stage_of_its_weights(
    steps: int, size: int, alpha: float, tiny: dict[str, Any], tmp_path: Path
) -> None:
    run = train(Recipe.read("twingan_small", tiny | {"train.steps": steps}), tmp_path / "run")
    loaded: Any = i2i.load(tmp_path / "run", device="cpu")
    assert (loaded.translator.level.size, loaded.translator.level.alpha) == (size, alpha)
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad(), run.stepper.eval_mode() as translator:
        assert torch.equal(loaded.translate(image, "b"), translator.translate(image, "b").image)


def test_the_resolved_recipe_reads_back_the_same(tiny: dict[str, Any], tmp_path: Path) -> None:
    recipe = Recipe.read("twingan_small", tiny)
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    again = Recipe.read(tmp_path / "recipe.toml")
    assert again.translator.resolved() == recipe.translator.resolved()
    assert [stage.fade for stage in again.translator.options["stages"]] == [0, 4]
