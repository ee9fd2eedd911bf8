"""The training loop: it knows steps, checkpoints and hooks, and no method."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from i2i.data.loader import make_loader
from i2i.errors import CheckpointError, TrainingError
from i2i.plugins import Plugins, default_plugins
from i2i.recipe.recipe import Recipe
from i2i.training import checkpoint
from i2i.training.notify import Notifier
from i2i.training.run import REMEDY, Run
from i2i.training.stepper import Stepper, make_accelerator
from i2i.translators.assembly import rehearse

log = logging.getLogger("i2i")


def train(
    recipe: Recipe,
    folder: str | Path,
    resume: checkpoint.Checkpoint | None = None,
    extras: Sequence[Any] = (),
    plugins: Plugins | None = None,
) -> Run:
    """Trains a recipe to its last step, or until SIGINT or SIGTERM asks it to save and stop.

    Args:
        folder: the run's; made where it does not exist.
        resume: where to go on.
        extras: objects with hook implementations, such as a progress bar.

    Raises:
        RecipeError: the recipe's components do not work together.
        CheckpointError: the folder holds another run, or the checkpoint does not fit.
        TrainingError: a loss is no longer a number.
    """
    folder = Path(folder)
    rehearse(recipe)
    if recipe.train.threads is not None:
        torch.set_num_threads(recipe.train.threads)
    accelerator = make_accelerator(recipe.train.precision)
    dataset = recipe.data(seed=recipe.train.seed)
    run = Run(folder, recipe, Stepper(recipe, accelerator), dataset)
    with _claimed(folder, resume, accelerator.is_main_process):
        if resume is not None:
            run.load(resume)
        if accelerator.is_main_process:
            _write_recipe(run)
        accelerator.wait_for_everyone()
        with _stop_signals() as stop, Notifier(plugins or default_plugins(), [*extras]) as notify:
            notify("training_started", run=run)
            _loop(run, notify, stop)
            notify("training_finished", run=run)
    return run


def _loop(run: Run, notify: Notifier, stop: threading.Event) -> None:
    options = run.recipe.train
    accelerator = run.stepper.accelerator
    preview = _preview(run)
    loader = iter(
        make_loader(
            run.dataset,
            batch_size=options.batch_size,
            start_step=run.step,
            micro_batches=options.accumulate,
            processes=accelerator.num_processes,
            rank=accelerator.process_index,
            workers=options.workers,
            pin_memory=accelerator.device.type == "cuda",
        )
    )
    saved = run.step if run.start else None
    while run.step < run.steps and not run.interrupted:
        micro = list(islice(loader, options.accumulate))
        _note_skipped(run, micro)
        terms = run.stepper.step(*micro)
        if run.step % options.log_every == 0 or run.step == run.steps:
            _check_finite(terms, run.step)
        notify("step_finished", run=run, terms=terms)
        if options.sample_every and (run.step % options.sample_every == 0 or run.step == run.steps):
            _sample(run, notify, preview)
        run.interrupted = run.step < run.steps and _agreed(run, stop)
        if run.step % options.checkpoint_every == 0 or run.step == run.steps or run.interrupted:
            notify("checkpoint_saved", run=run, folder=run.save())
            saved = run.step
    if saved != run.step:
        notify("checkpoint_saved", run=run, folder=run.save())


def _preview(run: Run) -> dict[str, Tensor]:
    if not run.recipe.train.sample_every or not run.is_main:
        return {}
    images: dict[str, Tensor] = run.dataset.preview(run.recipe.train.sample_count)
    return images


def _sample(run: Run, notify: Notifier, images: dict[str, Tensor]) -> None:
    """Paints the fixed preview pictures, without a graph."""
    if not run.is_main:
        return
    weight = next(run.translator.parameters())
    placed = {domain: image.to(weight.device, weight.dtype) for domain, image in images.items()}
    with torch.no_grad(), run.stepper.painting() as translator:
        rows = translator.preview(placed)
    flat = {f"{caption} · {domain}": made.float().cpu() for caption, by in rows.items() for domain, made in by.items()}
    notify("images_sampled", run=run, images=flat)


def _agreed(run: Run, stop: threading.Event) -> bool:
    """Whether to stop; several processes must all stop after the same step."""
    accelerator = run.stepper.accelerator
    if accelerator.num_processes == 1:
        return stop.is_set()
    asked = torch.tensor([float(stop.is_set())], device=accelerator.device)
    return bool(accelerator.reduce(asked, "sum").item() > 0)


def _check_finite(terms: dict[str, Tensor], step: int) -> None:
    bad = [name for name, value in terms.items() if not torch.isfinite(value).all()]
    if bad:
        raise TrainingError(
            f"step {step}: {', '.join(bad)} is no longer a number. The last checkpoint stands; {REMEDY}, and resume"
        )


def _note_skipped(run: Run, micro: list[dict[str, Any]]) -> None:
    for batch in micro:
        for line in batch.get("skipped", ()):
            if line not in run.skipped:
                run.skipped.append(line)
                log.warning("skipped: %s", line)


@contextmanager
def _claimed(folder: Path, resume: checkpoint.Checkpoint | None, main: bool) -> Iterator[None]:
    """Makes sure that no earlier run is written over, and that no other process works in the folder."""
    if not main:
        yield
        return
    if resume is None and checkpoint.listed(folder):
        raise CheckpointError(
            f"{folder} holds a run already: go on with --resume {folder}, or choose another folder with --output"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout as error:
        raise CheckpointError(f"{folder} is being trained by another process; wait for it or stop it first") from error


def _write_recipe(run: Run) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    beside = run.folder / f".{checkpoint.RECIPE}.part"
    beside.write_text(run.recipe.to_toml(), encoding="utf-8")
    os.replace(beside, run.folder / checkpoint.RECIPE)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turns the first SIGINT or SIGTERM into a wish to stop after this step; the second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: object) -> None:
        stop.set()
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
