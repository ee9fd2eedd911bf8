"""Sweeps: what is swept, in which order, and what becomes of trials that fail, are pruned or die."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from i2i.cli import run as command
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe
from i2i.use.sweep import Range, Sweep, combinations, parse

optuna = pytest.importorskip("optuna", reason="sweeps need the extra i2i[sweep]")
TERM = "generator/l1"


def test_settings_are_fixed_or_swept() -> None:
    fixed, swept = parse(['a.b=x"1,2"', "c=1, 2,1", "d=[1, 2],[3, 4]", "e=log:1e-5..1e-3", "f=-1..2.5"])
    assert fixed == ['a.b=x"1,2"']
    assert swept == {
        "c": ("1", "2"),
        "d": ("[1, 2]", "[3, 4]"),
        "e": Range(1e-5, 1e-3, log=True),
        "f": Range(-1.0, 2.5),
    }
    assert combinations(swept) is None
    assert combinations({"a": ("1", "2"), "b": ("3",)}) == [{"a": "1", "b": "3"}, {"a": "2", "b": "3"}]
    for wrong in (["a=1"], ["a=2..1"], ["a=log:0..1"], ["a=1..e"]):
        with pytest.raises(I2IError):
            parse(wrong)


def trainer(value: Callable[[float], float], stop_at: float | None = None, steps: int = 4) -> Any:
    """Return a training whose metric follows from the swept value, at steps 2 and 4."""
    options = SimpleNamespace(log_every=1, checkpoint_every=2)

    def train(settings: list[str], folder: Path, hook: Any) -> Any:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        given = float(settings[0].partition("=")[2])
        run = SimpleNamespace(
            recipe=SimpleNamespace(train=options), step=0, steps=steps, stop_requested=False, interrupted=False
        )
        while run.step < steps and not run.interrupted:
            run.step += 1
            hook.step_finished(run, {TERM: value(given)})
            run.interrupted = run.step < steps and (run.stop_requested or given == stop_at)
        return run

    return train


def test_all_combinations_are_ranked(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s", {"w": ("3", "1", "2")}, TERM)
    study = sweep.study()
    sweep.prepare(study)
    sweep.prepare(study)  # a second start queues nothing twice
    assert sweep.work(study, trainer(lambda w: w))
    rows = (tmp_path / "s" / "report.md").read_text().splitlines()
    assert rows[0] == "# s"
    assert rows[4] == "| run | w | generator/l1 | at step | state |"
    assert [row.split(" | ")[1:3] for row in rows[6:]] == [["1", "1"], ["2", "2"], ["3", "3"]]
    with pytest.raises(I2IError, match="choose another --output"):
        Sweep(tmp_path / "s", {"w": ("1", "2")}, TERM).study()


def test_a_trial_that_is_worse_than_the_median_stops_early(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s", {"w": ("1", "2", "3", "9")}, TERM)
    study = sweep.study()
    sweep.prepare(study)
    assert sweep.work(study, trainer(lambda w: w))
    assert [(trial.state.name, trial.last_step) for trial in study.trials] == [("COMPLETE", 4)] * 3 + [("PRUNED", 2)]
    assert "| trial-0003 | 9 | 9 | 2 | pruned |" in sweep.write_report(study)


def test_a_trial_that_fails_is_told_and_the_next_one_starts(tmp_path: Path) -> None:
    def value(w: float) -> float:
        if w == 1:
            raise I2IError("losses are NaN")
        return w

    sweep = Sweep(tmp_path / "s", {"w": ("1", "2")}, TERM)
    study = sweep.study()
    sweep.prepare(study)
    assert sweep.work(study, trainer(value))
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert "| trial-0000 | 1 |  |  | fail: losses are NaN |" in sweep.write_report(study)


def test_an_interrupted_sweep_continues_in_the_same_folder(tmp_path: Path) -> None:
    def start(stop_at: float | None) -> tuple[bool, Any]:
        sweep = Sweep(tmp_path / "s", {"w": ("1", "2", "3")}, TERM)
        study = sweep.study()
        sweep.prepare(study)
        return sweep.work(study, trainer(lambda w: w, stop_at)), study

    ended, study = start(stop_at=2)
    assert not ended
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING", "WAITING"]
    ended, study = start(stop_at=None)
    assert ended
    report = (tmp_path / "s" / "report.md").read_text()
    assert [line.split(" | ")[:2] for line in report.splitlines()[6:]] == [
        ["| trial-0000", "1"],
        ["| trial-0001", "2"],
        ["| trial-0002", "3"],
    ]
    assert report.count("complete") == 3


def test_a_range_is_sampled_as_often_as_asked(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s", {"w": Range(1e-3, 1.0, log=True)}, TERM, "tpe", trials=6, prune=False)
    study = sweep.study()
    sweep.prepare(study)
    assert sweep.work(study, trainer(lambda w: (w - 0.1) ** 2))
    assert len(study.trials) == 6
    assert all(1e-3 <= trial.params["w"] <= 1 for trial in study.trials)


@pytest.mark.thorough
def test_the_command_trains_and_reports(
    tmp_path: Path, tiny_pair_settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["sweep", "pix2pix_small", "--metric", TERM, "--output", str(tmp_path / "s"), "--device", "cpu"]
    sets = [part for setting in tiny_pair_settings for part in ("--set", setting)]
    assert command([*given, *sets, "--set", "losses.l1.weight=1,100"]) == 0
    out = capsys.readouterr().out
    assert "generator/l1, lower is better" in out
    assert [line.split(" | ")[1] for line in out.splitlines() if line.startswith("| trial-")] == ["1", "100"]
    weights = [Recipe.read(tmp_path / "s" / f"trial-000{n}" / "recipe.toml").losses["l1"] for n in (0, 1)]
    assert len(weights) == 2
    assert command([*given, *sets, "--set", "losses.l1.weight=1,none"]) == 2
    assert "losses.l1.weight" in capsys.readouterr().err


@pytest.fixture
def tiny_pair_settings() -> list[str]:
    return [
        "data.size=32",
        "train.steps=2",
        "train.batch_size=1",
        "train.workers=0",
        "train.sample_every=0",
        "translator.generator.channels=4",
        "translator.generator.levels=4",
        "translator.discriminators.local.channels=4",
        "translator.discriminators.local.layers=3",
    ]
