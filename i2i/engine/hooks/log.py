"""The log as JSON lines: one object for each logged step, each sample and each checkpoint."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.engine.run import Run

NAME = "log.jsonl"


class JSONLines:
    """Writes `log.jsonl` into the run folder."""

    def __init__(self) -> None:
        self.file: TextIO | None = None
        self.since, self.from_step = time.perf_counter(), 0
        self.waited = 0.0
        self.last = self.told = 0

    @hookimpl
    def training_started(self, run: Run) -> None:
        if not run.is_main:
            return
        self._open(run, run.start)
        event = "resumed" if run.start else "started"
        more: dict[str, Any] = {"changes": run.changes} if run.start else {}
        if run.feature_extractors:
            more["feature_extractors"] = run.feature_extractors
        self._write(event=event, step=run.step, recipe=run.recipe.name, **more)

    @hookimpl
    def step_finished(self, run: Run, terms: Mapping[str, Tensor]) -> None:
        if self.file is not None and run.step <= self.last:
            self.file.close()
            self._open(run, run.step - 1)
            self._write(event="rolled back", step=run.step - 1, rollbacks=run.rollbacks)
        self.last = run.step
        for finding in run.findings[self.told :]:
            self._write(event="diagnostics", step=run.step, finding=finding)
        self.told = len(run.findings)
        if self.file is None or (run.step % run.recipe.train.log_every and run.step != run.steps):
            return
        now = time.perf_counter()
        seconds = max(now - self.since, 1e-9)
        pace, wait = (run.step - self.from_step) / seconds, (run.waited - self.waited) / seconds
        self.since, self.from_step, self.waited = now, run.step, run.waited
        values = {name: float(value) for name, value in terms.items()}
        self._write(
            event="step",
            step=run.step,
            terms=values,
            rates=run.stepper.learning_rates(),
            steps_per_second=round(pace, 3),
            wait=round(wait, 3),
        )

    @hookimpl
    def checkpoint_saved(self, run: Run, folder: Path) -> None:
        best = {"best": run.best.state(), "metrics": run.metrics} if run.best else {}
        self._write(event="checkpoint", step=run.step, folder=str(folder.relative_to(run.folder)), **best)
        if self.file is not None:
            os.fsync(self.file.fileno())  # a log without gaps up to the checkpoint, whatever happens to the machine

    @hookimpl
    def training_finished(self, run: Run) -> None:
        event = "stopped" if run.interrupted else "finished"
        self._write(event=event, step=run.step, skipped=run.skipped, metrics=run.metrics, findings=run.findings)
        if self.file is not None:
            self.file.close()
            self.file = None

    def _open(self, run: Run, keep: int) -> None:
        """Opens the log, with what it holds up to the step `keep` > 0."""
        path = run.folder / NAME
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is not a regular file, so nothing is logged")  # a pipe would be waited for
        # What the doctor said stands in the log up to there; the checkpoint remembers it too.
        self.told = min(_forget_after(path, keep), len(run.findings)) if keep else 0
        self.file = path.open("a" if keep else "w", encoding="utf-8")
        self.since, self.from_step, self.waited = time.perf_counter(), run.step, run.waited

    def _write(self, **entry: Any) -> None:
        if self.file is not None:
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()


def lacks_its_end(folder: Path) -> bool:
    """Whether a run was killed after its last step, before it could measure and say how it ended."""
    path = folder / NAME
    if not path.is_file():
        return False  # imported, or without a log
    ended = True
    for _, entry in _entries(path):
        ended = entry["event"] == "finished"
    return not ended


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that holds an event of a step, as text and as what it says."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
                if isinstance(entry["event"], str) and entry["step"] >= 0:
                    yield line, entry
            except (ValueError, LookupError, TypeError, RecursionError):
                continue  # the half line of a killed process, or what a disk made of one


def _forget_after(path: Path, step: int) -> int:
    """Drops what a killed run logged after the checkpoint that it goes on from, so that no step is there twice.

    Returns:
        How many words of the doctor are left.
    """
    if not path.exists():
        return 0
    beside, words = path.with_name(f".{NAME}.part"), 0
    with beside.open("w", encoding="utf-8") as file:
        for line, entry in _entries(path):
            if entry["step"] <= step:
                file.write(line if line.endswith("\n") else line + "\n")
                words += entry["event"] == "diagnostics"
    os.replace(beside, path)  # killed now, it would lose the log of all steps before
    return words
