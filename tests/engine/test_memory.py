"""What watches a run goes on over a resume as if the run had never been stopped."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint
from i2i.engine.hook_state import MAX_CHARACTERS, HookState
from i2i.engine.hooks import diagnostics as diagnostics
from i2i.engine.hooks.diagnostics import Diagnostics
from i2i.engine.hooks.log import JSONLines
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

STILL = {  # nothing is learnt, from the same two images each time, so that losses never move
    **{f"optimizers.{phase}.lr": 1e-30 for phase in ("generator", "discriminator")},
    "data.count": 1,
    "train.batch_size": 1,
    "train.steps": 12,
}


class StopAfter:
    """Asks a run to stop as Ctrl-C would, and notes what an image was skipped for."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step in (2, 11):
            run.skipped.append(f"met in step {run.step}")
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def ended(settings: dict[str, Any], folder: Path, *stops: int) -> tuple[Run, Diagnostics, list[dict[str, Any]]]:
    """A run that is stopped and resumed at some steps, its last doctor, and what its log says beside times."""
    recipe = Recipe.read("pix2pix_small", settings)
    for step in (*stops, 0):
        watcher, saved = Diagnostics(), checkpoint.find(folder) if folder.exists() else None
        run = train(recipe, folder, saved, [watcher, JSONLines(), StopAfter(step)])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["event"] in ("diagnostics", "finished")]
    return run, watcher, told


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "WINDOW", 3)


@pytest.mark.thorough
@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("ill", [True, False])
def test_the_doctor_says_what_it_would_have_said(
    ill: bool, cheap: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**cheap, "train.sample_every": 4, **(STILL if ill else {"train.steps": 7})}
    runs, said = {}, {}
    for name, stops in {
        "whole": (),
        "stopped": (4, 10)[: 1 + ill],
    }.items():  # within windows, before and after it has spoken
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="i2i"):
            runs[name] = ended(settings, tmp_path / name, *stops)
        said[name] = [line for line in caplog.messages if "at the end" in line]
    whole, stopped = runs["whole"], runs["stopped"]
    assert whole[0].findings == stopped[0].findings
    assert whole[1].state() == stopped[1].state()
    assert whole[2] == stopped[2]
    assert stopped[2][-1]["skipped"] == ["met in step 11", "met in step 2"][not ill :]
    assert set(said["whole"]) <= set(said["stopped"])
    assert any("has not changed for" in finding for finding in stopped[0].findings) == ill


@pytest.mark.thorough
@pytest.mark.usefixtures("_short")
def test_sums_within_a_window_are_the_same_bits(cheap: dict[str, Any], tmp_path: Path) -> None:
    settings = {**cheap, "train.steps": 5}
    whole, stopped = (ended(settings, tmp_path / name, *stops)[1] for name, stops in (("a", ()), ("b", (4,))))
    assert len(whole.state()["sums"]) == 3
    assert whole.state() == stopped.state()


@pytest.mark.thorough
def test_the_best_is_the_same_when_a_stop_falls_between_checkpoints(cheap: dict[str, Any], tmp_path: Path) -> None:
    settings = {**cheap, "train.checkpoint_every": 3, "train.keep_best": "generator/l1"}
    states = []
    for name, stops in (("a", ()), ("b", (2, 4))):
        ended(settings, tmp_path / name, *stops)
        states.append(checkpoint.find(tmp_path / name).state["best"])
    assert states[0] == states[1]
    assert states[0]["value"] is not None


class Notes:
    """A plugin's hook that counts, and breaks when told."""

    def __init__(self, state: Any = None) -> None:
        self.given: Any = None
        self.now = state

    @hookimpl
    def training_started(self, run: Run) -> None:
        run.hook_state.keep("notes", self)

    def state(self) -> Any:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def load(self, state: Any) -> None:
        self.given = state["count"]


def test_a_plugin_keeps_what_it_likes(cheap: dict[str, Any], tmp_path: Path) -> None:
    first, second = Notes({"count": 7}), Notes({"count": 8})
    train(Recipe.read("pix2pix_small", cheap | {"train.steps": 1}), tmp_path / "run", extras=[first])
    recipe = Recipe.read("pix2pix_small", cheap | {"train.steps": 2})
    train(recipe, tmp_path / "run", checkpoint.find(tmp_path / "run"))  # without it: what it kept is passed on
    more = Recipe.read("pix2pix_small", cheap | {"train.steps": 3})
    train(more, tmp_path / "run", checkpoint.find(tmp_path / "run"), [second])
    assert (first.given, second.given) == (None, 7)
    assert checkpoint.find(tmp_path / "run").state["extras"]["notes"] == {"count": 8}


@pytest.mark.parametrize("kept", [KeyError("x"), object(), "x" * MAX_CHARACTERS, {1, 2}])
def test_one_that_fails_costs_its_state_alone(kept: Any, caplog: pytest.LogCaptureFixture) -> None:
    memory = HookState()
    memory.keep("notes", Notes(kept))
    memory.keep("good", Notes({"count": 1}))
    with caplog.at_level(logging.WARNING, logger="i2i"):
        assert memory.state() == {"good": {"count": 1}}
    assert caplog.messages[0].startswith("notes: its state is not saved in this checkpoint: ")


@pytest.mark.parametrize("kept", [None, 7, [], {"notes": 3}, {"notes": {}}, {"diagnostics": {"sums": {"x": "y"}}}])
def test_what_is_damaged_begins_anew(kept: Any, caplog: pytest.LogCaptureFixture) -> None:
    memory, watcher = HookState(), Diagnostics()
    memory.keep("notes", Notes())
    memory.keep("diagnostics", watcher)
    before = watcher.state()
    with caplog.at_level(logging.WARNING, logger="i2i"):
        memory.load(kept)
    assert len(caplog.messages) == 1
    assert watcher.state() == before
