"""Log as JSON lines, with one object for each event, such as a logged step or a checkpoint."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.engine.hooks.term_means import TermMeans
from i2i.engine.run import Run

NAME = "log.jsonl"


class JSONLines:
    """Hook that writes `log.jsonl` into the run folder."""

    def __init__(self) -> None:
        self.file: TextIO | None = None
        self.since, self.from_step = time.perf_counter(), 0
        self.waited = 0.0
        self.last = self.logged_findings = 0
        self.means = TermMeans()
        """Of the terms since the last line; of several processes, those of the main one between logged steps."""

    @hookimpl
    def training_started(self, run: Run) -> None:
        if not run.is_main:
            return
        self._open(run, run.start)
        event = "resumed" if run.start else "started"
        more: dict[str, Any] = {"changes": run.changes} if run.start else {}
        if summary := list(dict.fromkeys(getattr(run.dataset, "summary", ()))):
            more["data"] = summary
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
        self.means.add(terms)
        for finding in run.findings[self.logged_findings :]:
            self._write(event="diagnostics", step=run.step, finding=finding)
        self.logged_findings = len(run.findings)
        if self.file is None or (run.step % run.recipe.train.log_every and run.step != run.steps):
            return
        now = time.perf_counter()
        seconds = max(now - self.since, 1e-9)
        pace, wait = (run.step - self.from_step) / seconds, (run.waited - self.waited) / seconds
        self.since, self.from_step, self.waited = now, run.step, run.waited
        values = self.means.take()
        self._write(
            event="step",
            step=run.step,
            terms=values,
            rates=run.stepper.learning_rates(),
            steps_per_second=round(pace, 3),
            wait=round(wait, 3),
        )

    @hookimpl
    def evaluation_finished(self, run: Run, seconds: float) -> None:
        self._write(event="evaluation", step=run.step, metrics=run.metrics, seconds=round(seconds, 3))

    @hookimpl
    def checkpoint_saved(self, run: Run, folder: Path) -> None:
        best = {"best": run.best.state(), "metrics": run.metrics} if run.best else {}
        self._write(event="checkpoint", step=run.step, folder=str(folder.relative_to(run.folder)), **best)
        if self.file is not None:
            os.fsync(self.file.fileno())  # after a power failure the log is complete up to the checkpoint

    @hookimpl
    def training_finished(self, run: Run) -> None:
        event = "stopped" if run.interrupted else "finished"
        early = {"ended_early": True} if run.ended_early else {}
        self._write(
            event=event, step=run.step, skipped=run.skipped, metrics=run.metrics, findings=run.findings, **early
        )
        if self.file is not None:
            self.file.close()
            self.file = None

    def _open(self, run: Run, keep: int) -> None:
        """Open the log and keep its entries up to the step `keep`; 0 starts an empty log."""
        path = run.folder / NAME
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is not a regular file, so nothing is logged")  # opening a pipe blocks
        # The kept part of the log contains the findings up to this step; the checkpoint contains them too.
        self.logged_findings = min(_truncate_after(path, keep), len(run.findings)) if keep else 0
        self.file = path.open("a" if keep else "w", encoding="utf-8")
        self.since, self.from_step, self.waited = time.perf_counter(), run.step, run.waited
        self.means = TermMeans()

    def _write(self, **entry: Any) -> None:
        if self.file is not None:
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()


def lacks_its_end(folder: Path) -> bool:
    """Return whether a run was killed after its last step, before it was evaluated and logged its end."""
    path = folder / NAME
    if not path.is_file():
        return False  # imported, or without a log
    ended = True
    for _, entry in entries(path):
        ended = entry["event"] == "finished"
    return not ended


def entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each line that contains an event with a step, as text and parsed."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
                if isinstance(entry["event"], str) and entry["step"] >= 0:
                    yield line, entry
            except (ValueError, LookupError, TypeError, RecursionError):
                continue  # a partial or damaged line


def _truncate_after(path: Path, step: int) -> int:
    """Remove the entries after a step, so that a run that resumes there logs no step twice.

    Returns:
        The number of remaining entries of the diagnostics.
    """
    if not path.exists():
        return 0
    part, findings = path.with_name(f".{NAME}.part"), 0
    with part.open("w", encoding="utf-8") as file:
        for line, entry in entries(path):
            if entry["step"] <= step:
                file.write(line if line.endswith("\n") else line + "\n")
                findings += entry["event"] == "diagnostics"
    os.replace(part, path)  # atomic: a run that is killed now loses no entries
    return findings
