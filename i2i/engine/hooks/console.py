"""Console output of training: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.engine.hooks.term_means import TermMeans
from i2i.engine.run import Run

PLAIN_EVERY = 20.0
"""Seconds between two plain progress lines."""
REPORTED_WAIT = 0.05
"""Smallest fraction of the time spent waiting for data that is displayed."""


TERMINAL = Terminal(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line on standard error, above a progress bar if there is one."""
    TERMINAL.print(text, markup=False)


class Console:
    """Hook that prints progress, samples and checkpoints of the main process."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.task = TaskID(0)
        self.last, self.last_step, self.waited = 0.0, 0, 0.0
        self.newest: Path | None = None
        self.means = TermMeans()

    @hookimpl
    def training_started(self, run: Run) -> None:
        if not run.is_main:
            return
        accelerator = run.stepper.accelerator
        where = f"{accelerator.device}" + (f" × {accelerator.num_processes}" if accelerator.num_processes > 1 else "")
        action = f"resumes at step {run.step} of {run.steps}" if run.start else f"trains {run.steps} steps"
        say(f"{run.recipe.name} {action} on {where}, {run.recipe.train.precision}; run folder: {run.folder}")
        for line in dict.fromkeys(getattr(run.dataset, "summary", ())):
            say(line)
        for source in dict.fromkeys(run.feature_extractors.values()):
            say(f"feature extractor: {source}")
        self.last, self.last_step = time.perf_counter(), run.step
        if TERMINAL.is_terminal:
            self.progress = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[terms]}"),
                console=TERMINAL,
            )
            self.task = self.progress.add_task("", total=run.steps, completed=run.step, pace="", terms="")
            self.progress.start()

    @hookimpl
    def step_finished(self, run: Run, terms: Mapping[str, Tensor]) -> None:
        if not run.is_main:
            return
        self.means.add(terms)
        now = time.perf_counter()
        due = now - self.last > (1.0 if self.progress else PLAIN_EVERY) or run.step == run.steps
        if self.progress is not None:
            self.progress.update(self.task, completed=run.step)
        if not due:
            return  # reading a loss synchronizes with the device, so it is done rarely
        seconds = max(now - self.last, 1e-9)
        pace, wait = (run.step - self.last_step) / seconds, (run.waited - self.waited) / seconds
        self.last, self.last_step, self.waited = now, run.step, run.waited
        values = "  ".join(f"{name} {value:.3g}" for name, value in self.means.take().items())
        pace_text = f"{pace:.2f} steps/s" if pace >= 1 else f"{1 / pace:.2f} s/step"
        if wait >= REPORTED_WAIT:
            pace_text += f"  {wait:.0%} waiting for data"
        if self.progress is not None:
            self.progress.update(self.task, pace=pace_text, terms=values)
        else:
            left = (run.steps - run.step) / max(pace, 1e-9)
            say(f"step {run.step}/{run.steps}  {pace_text}  {_duration(left)} left  {values}")

    @hookimpl
    def images_sampled(self, run: Run, images: Mapping[str, Tensor]) -> None:
        self.newest = run.folder / "samples" / f"step-{run.step:07d}.png"

    @hookimpl
    def checkpoint_saved(self, run: Run, folder: Path) -> None:
        if run.is_main and self.progress is None and run.step != run.steps:
            say(f"checkpoint: {folder}")

    @hookimpl
    def evaluation_finished(self, run: Run, seconds: float) -> None:
        if not run.is_main or not run.metrics:
            return
        values = "  ".join(f"{name} {value:.4g}" for name, value in run.metrics.items())
        say(f"evaluation at step {run.step}: {values}  ({seconds:.1f} s)")

    @hookimpl
    def training_finished(self, run: Run) -> None:
        self.close()
        if not run.is_main:
            return
        if run.skipped:
            what = "1 image" if len(run.skipped) == 1 else f"{len(run.skipped)} images"
            say(f"could not read {what}; log.jsonl names what was skipped")
        if run.ended_early and run.best is not None:
            say(
                f"ended early at step {run.step}: {run.best.name} was not better in {run.best.stale} comparisons; the "
                f"best one, {run.best.value:.4g}, was at step {run.best.step}"
            )
        if run.interrupted:
            say(f"stopped at step {run.step}, saved; continue with: i2i train --resume {run.folder}")
        elif self.newest is not None and self.newest.exists():
            say(f"done; sample grid: {self.newest}")
        else:
            say(f"done; run folder: {run.folder}")

    def close(self) -> None:
        """Stop the progress bar, also after an error."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
