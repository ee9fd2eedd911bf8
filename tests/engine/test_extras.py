"""What watches a run: trackers, sample grids, hooks that fail, losses that turn NaN."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.tracking import GeneralTracker

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint
from i2i.engine.hooks.samples import GAP, grid
from i2i.engine.hooks.trackers import Trackers
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.errors import TrainingError
from i2i.recipe.recipe import Recipe


def test_tensorboard_gets_terms_rates_and_images(cheap: dict[str, object], tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = cheap | {"train.steps": 2, "train.trackers": ["tensorboard"], "train.sample_every": 2}
    train(Recipe.read("pix2pix_small", settings), tmp_path / "run", extras=[Trackers()])
    files = (tmp_path / "run").rglob("events.out.tfevents.*")
    file = min(files, key=lambda path: len(path.parts))  # TensorBoard keeps hyper-parameters in a folder below
    seen = events.EventAccumulator(str(file.parent)).Reload()
    assert {"generator/l1", "discriminator/gan", "learning_rate/generator"} <= set(seen.Tags()["scalars"])
    assert [event.step for event in seen.Scalars("generator/l1")] == [1, 2]
    assert any("translation" in tag for tag in seen.Tags()["images"])


def test_trackers_are_finished_after_training() -> None:
    class Recorder(GeneralTracker):
        finished = 0

        def finish(self) -> None:
            self.finished += 1

    hook, tracker = Trackers(), Recorder(_blank=True)
    hook.trackers = [tracker]
    unused: Any = None
    hook.training_finished(unused)
    assert tracker.finished == 1
    assert hook.trackers == []


@pytest.mark.parametrize(("size", "shown"), [(16, 64), (48, 48), (100, 100)])
def test_a_grid_has_a_row_for_each_caption_and_a_column_for_each_domain(size: int, shown: int) -> None:
    rows = {f"{caption} · {domain}": torch.zeros(3, 3, size, size) for caption in ("input", "cycle") for domain in "ab"}
    rows["input · b"] = torch.ones(3, 3, size, size)
    sheet = grid(rows)
    block = 3 * (shown + GAP)
    right = sheet.crop((sheet.width - block - 2 * GAP, sheet.height - 2 * (shown + GAP), sheet.width, sheet.height))
    assert right.getpixel((shown - 1, shown - 1)) == (255, 255, 255)
    assert right.getpixel((5, shown + GAP)) == right.getpixel((5, 2 * shown + GAP - 1)) == (128, 128, 128)
    assert right.getpixel((5, 2 * shown + GAP)) == (255, 255, 255)


def test_a_grid_shows_images_of_several_sizes() -> None:
    rows = {"input · a": torch.zeros(2, 3, 32, 32), "translation · a": torch.zeros(2, 3, 64, 64)}
    enlarged = grid(rows)
    assert enlarged.size == grid({key: torch.zeros(2, 3, 64, 64) for key in rows}).size
    assert grid(rows | {"cycle · a": torch.zeros(2, 3, 100, 90)}).height > enlarged.height


class Faulty:
    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def step_finished(self, run: Run) -> None:
        self.calls += 1
        raise KeyError("oops")


def test_a_failing_extra_never_stops_training(
    cheap: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = Faulty()
    with caplog.at_level(logging.WARNING, logger="i2i"):
        run = train(Recipe.read("pix2pix_small", cheap), tmp_path / "run", extras=[faulty])
    assert run.step == 6
    assert faulty.calls == 3
    assert caplog.messages[-1] == (
        "Faulty failed in step_finished (3 of 3): KeyError: 'oops'; it is disabled for this run"
    )


def test_a_loss_that_is_no_number_stops_the_run(cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", cheap | {"optimizers.generator.lr": 1e30, "train.checkpoint_every": 1})
    expected = (
        r"step \d: training diverged \(NaN or Inf\) in .*generator/.*; lower the learning rate, .* or use fp32; "
        r"training resumes from the last checkpoint, if there is one, with --resume, or automatically with "
        r"train\.rollbacks"
    )
    with pytest.raises(TrainingError, match=expected):
        train(recipe, tmp_path / "run")
    assert max(checkpoint.listed(tmp_path / "run")) >= 1


def test_old_checkpoints_go(cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", cheap | {"train.checkpoint_every": 1, "train.keep_last": 2})
    train(recipe, tmp_path / "run")
    assert sorted(checkpoint.listed(tmp_path / "run")) == [5, 6]
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))


def test_weights_that_are_no_numbers_are_never_saved(cheap: dict[str, object], tmp_path: Path) -> None:
    class Burst:
        @hookimpl
        def step_finished(self, run: Run) -> None:
            if run.step == 3:
                next(run.translator.parameters()).data.fill_(float("nan"))

    recipe = Recipe.read("pix2pix_small", cheap | {"train.checkpoint_every": 1, "train.keep_last": 1})
    expected = r"step 3: training diverged \(NaN or Inf\) in 1 weights, such as .* so no checkpoint is written; lower"
    with pytest.raises(TrainingError, match=expected):
        train(recipe, tmp_path / "run", extras=[Burst()])
    assert sorted(checkpoint.listed(tmp_path / "run")) == [2]
