"""Two processes train what one process trains with the double batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from accelerate import debug_launcher
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.recipe.recipe import Recipe
from i2i.training import checkpoint
from i2i.training.trainer import train
from i2i.translators.assembly import build

pytestmark = pytest.mark.skipif(torch.accelerator.is_available(), reason="forks, which an initialized GPU forbids")


def work(settings: dict[str, object], folder: Path, processes: int) -> None:
    """One process's part: trains, and goes on where the folder has a checkpoint."""
    AcceleratorState._reset_state(reset_partial_state=True)  # what the test process had before the fork
    resume = checkpoint.find(folder) if folder.exists() else None
    run = train(Recipe.read("quickstart", settings), folder, resume)
    assert run.stepper.accelerator.num_processes == processes
    if run.is_main:
        save_file(run.translator.state_dict(), folder / "end.safetensors")


def launch(processes: int, settings: dict[str, object], folder: Path) -> dict[str, Tensor]:
    """Trains and gives the weights."""
    if processes == 1:
        work(settings, folder, 1)
    else:
        debug_launcher(work, (settings, folder, processes), num_processes=processes)
    return load_file(folder / "end.safetensors")


def difference(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> float:
    """As a share of the update."""
    moved = sum(float((one[name] - start[name]).square().sum()) for name in one) ** 0.5
    return sum(float((one[name] - other[name]).square().sum()) for name in one) ** 0.5 / moved


def test_two_processes_equal_one_with_the_double_batch(tiny: dict[str, object], tmp_path: Path) -> None:
    # Small weights, so that the losses of a few steps are far from the noise of summing in another order.
    small = {f"losses.{name}.weight": 0.1 for name in ("cycle", "identity", "cam")}
    settings = tiny | small | {"train.precision": "fp64", "train.steps": 3}
    two = launch(2, settings | {"train.batch_size": 1}, tmp_path / "two")
    one = launch(1, settings | {"train.batch_size": 2}, tmp_path / "one")
    start = {name: value.double() for name, value in build(Recipe.read("quickstart", settings)).state_dict().items()}
    assert difference(one, two, start) < 1e-9


def test_two_processes_resume_exactly(tiny: dict[str, object], tmp_path: Path) -> None:
    settings = tiny | {"train.steps": 4, "train.batch_size": 1, "translator.pool": 2, "train.checkpoint_every": 2}
    whole = launch(2, settings, tmp_path / "run")
    shutil.rmtree(checkpoint.listed(tmp_path / "run")[4])
    resumed = launch(2, settings, tmp_path / "run")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
