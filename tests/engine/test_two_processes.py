"""Two processes train what one process trains with the double batch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import debug_launcher
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint, trainer
from i2i.engine.hooks.log import JSONLines
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

pytestmark = pytest.mark.skipif(torch.accelerator.is_available(), reason="forks, which an initialized GPU forbids")


class Skips:
    """One image that both processes cannot read, and one for each."""

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == 1:
            run.skipped += ["both", f"process {run.stepper.accelerator.process_index}"]


def work(settings: dict[str, object], folder: Path, processes: int) -> None:
    """One process's part: trains, and goes on where the folder has a checkpoint."""
    resume = checkpoint.find(folder) if folder.exists() else None
    run = train(Recipe.read("ugatit_small", settings), folder, resume, [JSONLines(), Skips()])
    assert run.stepper.accelerator.num_processes == processes
    if run.is_main:
        save_file(run.translator.state_dict(), folder / f"end-{run.start}.safetensors")


def main() -> None:
    """Trains in two processes what each argument says: the settings, the folder, the step to go back to or none."""
    import torch._dynamo  # noqa: F401  # once here, not in each process that is forked

    trainer.dry_run = lambda recipe, streams: None  # as the process of these tests does for the same recipe
    for settings, folder, step in map(json.loads, sys.argv[1:]):
        for later in [one for one in checkpoint.listed(Path(folder)) if step is not None and one > step]:
            shutil.rmtree(checkpoint.listed(Path(folder))[later])
        debug_launcher(work, (settings, Path(folder), 2), num_processes=2)


Runs = tuple[Path, dict[str, object]]


@pytest.fixture(scope="module")
def runs(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """All trainings of these tests, from one fresh process: torch forbids to fork one that has computed gradients."""
    folder = tmp_path_factory.mktemp("processes")
    # Small weights, so that the losses of a few steps are far from the noise of summing in another order.
    small = {f"losses.{name}.weight": 0.1 for name in ("cycle", "identity", "cam")}
    exact = {**tiny_settings, **small, "train.precision": "fp64", "train.steps": 3}
    alone = {**tiny_settings, "translator.pool": 2, "train.batch_size": 1}
    pooled = alone | {"train.steps": 3, "train.checkpoint_every": 2}  # stopped with full pools
    first = alone | {"train.accumulate": 2, "train.steps": 1}
    train(Recipe.read("ugatit_small", first), folder / "elastic")
    trainings = [
        (exact | {"train.batch_size": 1}, "two", None),
        (pooled, "pooled", None),
        (pooled, "pooled", 2),
        (first | {"train.accumulate": 1, "train.steps": 2}, "elastic", None),
    ]
    arguments = [json.dumps((settings, str(folder / name), step)) for settings, name, step in trainings]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, exact


def difference(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> float:
    """As a share of the update."""
    moved = sum(float((one[name] - start[name]).square().sum()) for name in one) ** 0.5
    return sum(float((one[name] - other[name]).square().sum()) for name in one) ** 0.5 / moved


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_equal_one_with_the_double_batch(runs: Runs) -> None:
    folder, settings = runs
    two = load_file(folder / "two" / "end-0.safetensors")
    recipe = Recipe.read("ugatit_small", settings | {"train.batch_size": 2})
    start = {name: value.double() for name, value in build(recipe).state_dict().items()}
    one = train(recipe, folder / "one", extras=[JSONLines()]).translator.state_dict()
    assert difference(one, two, start) < 1e-9
    logs = {name: logged(folder / name) for name in ("one", "two")}
    terms = {name: [line["terms"] for line in log if line["event"] == "step"] for name, log in logs.items()}
    assert [list(step) for step in terms["one"]] == [list(step) for step in terms["two"]]
    for expected, got in zip(terms["one"], terms["two"], strict=True):  # the log is of both processes' samples
        assert got == pytest.approx(expected, rel=1e-9)
    assert logs["two"][-1]["skipped"] == ["both", "process 0", "process 1"]


@pytest.mark.slow
def test_two_processes_resume_exactly(runs: Runs) -> None:
    whole, resumed = (load_file(runs[0] / "pooled" / f"end-{start}.safetensors") for start in (0, 2))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.slow
def test_from_one_process_to_two_and_back(runs: Runs, tiny: dict[str, object]) -> None:
    folder = runs[0] / "elastic"
    saved = checkpoint.find(folder)
    assert (saved.step, saved.state["processes"], saved.state["samples"]) == (2, 2, 4)
    settings = tiny | {"translator.pool": 2, "train.batch_size": 1, "train.accumulate": 2, "train.steps": 3}
    back = train(Recipe.read("ugatit_small", settings), folder, saved)
    assert back.samples == 6
    assert "image pools of the processes from 1 on are discarded" in back.changes


if __name__ == "__main__":
    main()
