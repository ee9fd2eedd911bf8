"""Numbers that burst, memory that does not suffice, data that does not come: what is said, and what is kept."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest
import torch

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint
from i2i.engine.faults import explain_out_of_memory, explain_worker_failure
from i2i.engine.hooks.log import JSONLines
from i2i.engine.run import Run
from i2i.engine.stall import DataWatch
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import CheckpointError, DataError, TrainingError
from i2i.recipe.recipe import Recipe


class BurstAt:
    """Ruins a weight after a step, as often as told."""

    def __init__(self, step: int, times: int = 1) -> None:
        self.step, self.times = step, times

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == self.step and self.times:
            self.times -= 1
            next(run.translator.parameters()).data.fill_(float("nan"))


def test_a_run_goes_back_and_on_with_other_samples(
    cheap: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = cheap | {"train.checkpoint_every": 2, "train.rollbacks": 1, "train.steps": 5}
    with caplog.at_level(logging.WARNING, logger="i2i"):
        run = train(Recipe.read("pix2pix_small", settings), tmp_path / "run", extras=[JSONLines(), BurstAt(3)])
    assert (run.step, run.rollbacks) == (5, 1)
    assert run.samples == (5 + 2) * 2  # steps 3 and 4 drew once more
    assert "Rolling back to step 2 (1 of 1)" in caplog.text
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2, 3, 4, 5]
    assert {"event": "rolled back", "step": 2, "rollbacks": 1} in lines
    assert checkpoint.find(tmp_path / "run").state["rollbacks"] == 1


def test_a_run_that_bursts_more_often_than_allowed_stops(cheap: dict[str, object], tmp_path: Path) -> None:
    settings = cheap | {"train.checkpoint_every": 2, "train.rollbacks": 1}
    with pytest.raises(TrainingError, match=r"no checkpoint is written|training diverged \(NaN or Inf\)"):
        train(Recipe.read("pix2pix_small", settings), tmp_path / "run", extras=[BurstAt(3, times=2)])
    assert sorted(checkpoint.listed(tmp_path / "run")) == [2]


def test_no_memory_is_told_with_what_to_lower(
    cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Stepper, *micro: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has ...")

    monkeypatch.setattr(Stepper, "step", step)
    with pytest.raises(TrainingError) as caught:
        train(Recipe.read("pix2pix_small", cheap), tmp_path / "run")
    assert str(caught.value) == (
        "step 1: out of memory. Lower train.batch_size (train.accumulate keeps the batch), data.size or the networks' "
        "channels, or use train.precision=bf16; training resumes from the last checkpoint, if there is one, "
        "with --resume. "
        "(CUDA out of memory)"
    )


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="something else"), explain_out_of_memory(1):
        raise RuntimeError("something else")
    with pytest.raises(TrainingError, match="out of memory"), explain_out_of_memory(1):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ...")


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_worker_that_dies_while_it_hands_a_batch_over_is_told(error: Exception) -> None:
    told = r"dataset 'x': DataLoader worker died \(.*\)\. If the system"
    with pytest.raises(DataError, match=told), explain_worker_failure("dataset 'x'"):
        raise error
    with pytest.raises(RuntimeError, match="something else"), explain_worker_failure("dataset 'x'"):
        raise RuntimeError("something else")


def test_a_long_wait_for_data_is_told_and_measured(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="i2i"), DataWatch("dataset 'slow' with 2 workers", 0.04) as watch:
        with watch.waiting(7):
            time.sleep(0.3)
        assert 0.25 < watch.last < 5
        told = len(caplog.messages)
        with watch.waiting(8):
            pass
    assert 1 <= told <= 4
    assert len(caplog.messages) == told
    assert caplog.messages[0].startswith("step 7 has waited 0 s for dataset 'slow' with 2 workers: is a disk")
    assert watch.last < 0.25


class FullDisk:
    """A disk without room for checkpoints while some of them are written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
        self.steps, self.real = steps, checkpoint.save_file
        monkeypatch.setattr(checkpoint, "save_file", self)

    def __call__(self, tensors: dict[str, torch.Tensor], path: Path) -> None:
        step = int(path.parent.name.removeprefix(".step-").removesuffix(".part"))
        if step in self.steps and path.name == checkpoint.WEIGHTS:
            path.write_bytes(b"half a fi")
            raise OSError(28, "No space left on device")
        self.real(tensors, path)


def test_a_disk_that_is_full_for_a_while_costs_a_checkpoint_not_the_run(
    cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FullDisk(monkeypatch, 2, 3)
    settings = cheap | {"train.checkpoint_every": 1, "train.keep_last": 9}
    with caplog.at_level(logging.WARNING, logger="i2i"):
        train(Recipe.read("pix2pix_small", settings), tmp_path / "run")
    assert sorted(checkpoint.listed(tmp_path / "run")) == [1, 4, 5, 6]
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    assert "the checkpoint of step 2 cannot be written" in caplog.messages[0]
    assert caplog.messages[0].endswith("Training continues until the next checkpoint (failure 1 of 3)")


@pytest.mark.parametrize(("steps", "stands"), [((2, 3, 4, 5), [1]), ((6,), [1, 2, 3, 4, 5])])
def test_a_disk_that_stays_full_or_is_full_at_the_end_stops_the_run(
    steps: tuple[int, ...], stands: list[int], cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, *steps)
    settings = cheap | {"train.checkpoint_every": 1, "train.keep_last": 9}
    with pytest.raises(
        TrainingError, match=r"No space left on device\. Free disk space or lower train.keep_last; --resume"
    ):
        train(Recipe.read("pix2pix_small", settings), tmp_path / "run")
    assert sorted(checkpoint.listed(tmp_path / "run")) == stands
    assert checkpoint.find(tmp_path / "run").step == stands[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_folder_that_cannot_be_written_is_told_before_training(cheap: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o500)
    with pytest.raises(CheckpointError, match="cannot write to the run folder"):
        train(Recipe.read("pix2pix_small", cheap), tmp_path / "run")


def test_a_run_folder_that_is_a_file_is_told(cheap: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(CheckpointError, match=r"cannot write to the run folder .*run: .*File exists"):
        train(Recipe.read("pix2pix_small", cheap), tmp_path / "run")
