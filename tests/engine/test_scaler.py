"""fp16's gradient scaler over a resume: its scale, its patience and the steps that it skips.

Accelerate offers fp16 on GPUs alone, so a scaler for CPUs stands here where Accelerate's would; networks compute in
fp32. All that i2i does with a scaler is on the way: scaled backwards, clipping, skipped steps, its state on disk.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint, trainer
from i2i.engine.hooks.log import JSONLines
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.run import Run
from i2i.engine.stepper import make_accelerator
from i2i.recipe.recipe import Recipe

STEPS = 8


@pytest.fixture(autouse=True)
def _scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scales so large that the first gradients overflow, grown again after every third step that was taken."""

    def scaled(precision: str, *_: object, **__: object) -> Accelerator:
        assert precision == "fp16"
        accelerator = make_accelerator("fp32")
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**121, growth_factor=2.0**4, growth_interval=3)
        return accelerator

    monkeypatch.setattr(trainer, "make_accelerator", scaled)


class Watch:
    """Notes the scale after each step, and stops a run as Ctrl-C would."""

    def __init__(self, stop: int = 0) -> None:
        self.stop = stop
        self.scales: dict[int, dict[str, Any]] = {}

    @hookimpl
    def step_finished(self, run: Run) -> None:
        self.scales[run.step] = run.stepper.accelerator.scaler.state_dict()
        if run.step == self.stop:
            os.kill(os.getpid(), signal.SIGINT)


def end_of(run: Run) -> dict[str, torch.Tensor]:
    found = dict(run.translator.state_dict())
    for phase, optimizer in run.stepper.optimizers.items():
        found |= {f"{phase}/{name}": value for name, value in split_optimizer(optimizer)[0].items()}
    if run.stepper.ema is not None:
        found |= {f"ema/{name}": value for name, value in run.stepper.ema.average.items()}
    return found


def taken(run: Run) -> set[int]:
    """How many steps each parameter has made."""
    optimizers = run.stepper.optimizers.values()
    return {int(state["step"]) for optimizer in optimizers for state in optimizer.state.values()}


def logged(folder: Path) -> list[Any]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["terms"], line["rates"]) for line in lines if line["event"] == "step"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "more",
    [
        {},  # fused optimizers skip by themselves
        {"train.reference": True, "train.clip_grad_norm": 1.0, "train.accumulate": 2, "train.ema": 0.9},
    ],
)
def test_a_stopped_run_scales_and_skips_as_one_that_was_not(
    more: dict[str, Any], cheap: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**cheap, "losses.l1.weight": 20, "train.steps": STEPS, "train.precision": "fp16", **more}
    recipe = Recipe.read("pix2pix_small", settings | {"train.batch_size": 1})
    whole = Watch()
    expected = trainer.train(recipe, tmp_path / "whole", extras=[whole, JSONLines()])
    scales = {state["scale"] for state in whole.scales.values()}
    assert len(scales) >= 3, "it grew and shrank"
    assert 1 < min(taken(expected)) < STEPS, "some steps were skipped, and others taken"
    folder, scales_of = tmp_path / "stopped", {}
    for stop in (1, 5, 0):
        saved, watch = checkpoint.find(folder) if folder.exists() else None, Watch(stop)
        got = trainer.train(recipe, folder, saved, [watch, JSONLines()])
        scales_of |= watch.scales
        if stop:
            assert checkpoint.find(folder).state["scaler"] == watch.scales[stop]
    assert scales_of == whole.scales
    one, two = end_of(expected), end_of(got)
    assert one.keys() == two.keys()
    assert [name for name, value in one.items() if not torch.equal(value, two[name])] == []
    lines = logged(folder)
    assert lines == logged(tmp_path / "whole")
    factor = recipe.schedule(steps=STEPS)
    for step, (_, _, rates) in enumerate(lines):  # a step that was skipped counts
        assert set(rates.values()) == {2e-4 * factor(step)}
