"""The training loop: it knows steps, checkpoints and hooks, and no method."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from i2i.core.plugins import Plugins, default_plugins
from i2i.data.checked import (
    CheckedDataset,
    apply_device_transform,
    checked_preview,
    describe_errors,
    raise_if_error,
)
from i2i.data.loader import make_loader, reading
from i2i.engine import checkpoint
from i2i.engine.determinism import determinism
from i2i.engine.faults import NonFiniteError, check_terms, explain_out_of_memory, explain_worker_failure
from i2i.engine.hooks.notify import Notifier
from i2i.engine.run import Run
from i2i.engine.run_lock import lock_run_folder, write_recipe
from i2i.engine.signals import stop_signals
from i2i.engine.stall import DataWatch
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.engine.warm_start import warm_start
from i2i.methods.assembly import build, dry_run
from i2i.methods.compilation import explain_compile_failure
from i2i.recipe.recipe import Recipe

TRIES = 3
"""Checkpoints in a row that cannot be written before a run stops."""
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
        TrainingError: losses or weights are no longer numbers, or the device's memory does not suffice.
    """
    folder = Path(folder)
    # Missing data is the most frequent mistake and the fastest to find, so the data set comes first.
    dataset = recipe.data(seed=recipe.train.seed)
    with describe_errors(dataset, f"dataset {recipe.data.name!r}"):
        streams = {**recipe.streams, **dataset.streams}
    dry_run(recipe, streams)
    if recipe.train.threads is not None:
        torch.set_num_threads(recipe.train.threads)
    with determinism(recipe.train.deterministic):
        accelerator = make_accelerator(recipe.train.precision)
        with explain_out_of_memory(0):
            run = Run(folder, recipe, Stepper(recipe, accelerator, build(recipe, streams=streams)), dataset)
        if run.best is not None:
            run.best.check(run.dataset, run.translator.requires_condition)
        with lock_run_folder(folder, resume is not None, run.is_main):
            if resume is not None:
                run.load(resume)
                for change in run.changes if run.is_main else ():
                    log.warning("otherwise than before: %s", change)
            elif recipe.train.init is not None:
                warm_start(run)
            if run.is_main:
                write_recipe(folder, recipe)
            accelerator.wait_for_everyone()
            with stop_signals() as stop, Notifier(plugins or default_plugins(), [*extras]) as notify:
                notify("training_started", run=run)
                _train(run, notify, stop)
                run.gather_skipped()
                notify("training_finished", run=run)
    return run


def _train(run: Run, notify: Notifier, stop: threading.Event) -> None:
    """The loop, begun again from the last checkpoint where numbers have burst and the recipe allows it."""
    while True:
        try:
            return _loop(run, notify, stop)
        except NonFiniteError as error:
            if run.rollbacks >= run.recipe.train.rollbacks or not checkpoint.listed(run.folder):
                raise
            # The same samples would burst again, so the stream goes on behind them. A run that is killed now does all
            # of this once more from the same checkpoint, and comes to the same end.
            rollbacks, samples = run.rollbacks + 1, run.samples
            run.load(checkpoint.find(run.folder))
            run.rollbacks, run.samples = rollbacks, samples
            log.warning("%s. Going back to step %d (%d of %d)", error, run.step, rollbacks, run.recipe.train.rollbacks)


def _loop(run: Run, notify: Notifier, stop: threading.Event) -> None:
    options = run.recipe.train
    preview = _preview(run)
    saved = run.step if run.start and run.step == run.start else None
    data = f"dataset {run.recipe.data.name!r} with {options.workers} workers"
    with explain_worker_failure(data), reading(_loader(run)) as batches, DataWatch(data) as watch:
        while run.step < run.steps and not run.interrupted:
            with watch.waiting(run.step + 1):
                micro = [raise_if_error(batch) for batch in islice(batches, options.accumulate)]
            run.waited += watch.last
            _note_skipped(run, micro)
            with explain_out_of_memory(run.step + 1), explain_compile_failure():
                device = run.stepper.accelerator.device
                terms = run.stepper.step(*(apply_device_transform(run.dataset, batch, device) for batch in micro))
            run.samples += run.samples_per_step
            if run.best is not None:
                run.best.add(terms)
            if run.step % options.log_every == 0 or run.step == run.steps:
                terms = run.stepper.mean_over_processes(terms)
                check_terms(terms, run.step)
            notify("step_finished", run=run, terms=terms)
            if options.sample_every and (run.step % options.sample_every == 0 or run.step == run.steps):
                _sample(run, notify, preview)
            run.interrupted = run.step < run.steps and _agreed(run, stop)
            if run.step % options.checkpoint_every == 0 or run.step == run.steps or run.interrupted:
                saved = _save(run, notify) or saved
    if saved != run.step:
        _save(run, notify)


def _loader(run: Run) -> DataLoader[dict[str, Any]]:
    options, accelerator = run.recipe.train, run.stepper.accelerator
    with describe_errors(run.dataset, f"dataset {run.recipe.data.name!r}"):
        streams = {stream: run.dataset.streams[stream] for stream in run.translator.required_streams}
    return make_loader(
        CheckedDataset(run.dataset, run.recipe.data.name, streams),
        batch_size=options.batch_size,
        first_sample=run.samples,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
        workers=options.workers,
        pin_memory=accelerator.device.type == "cuda",
    )


def _save(run: Run, notify: Notifier) -> int | None:
    """Writes a checkpoint and gives its step; None where that failed and the run can go on without it."""
    if run.best is not None and run.best.by_metric:
        notify("evaluate_checkpoint", run=run)
    try:
        folder = run.save()
    except checkpoint.WriteError as error:
        run.unwritten += 1
        if run.step == run.steps or run.interrupted or run.unwritten >= TRIES:
            raise
        log.warning("%s. Training goes on, and the next checkpoint is tried (%d of %d)", error, run.unwritten, TRIES)
        return None
    run.unwritten = 0
    notify("checkpoint_saved", run=run, folder=folder)
    return run.step


def _preview(run: Run) -> dict[str, Tensor]:
    if not run.recipe.train.sample_every or not run.is_main:
        return {}
    return checked_preview(run.dataset, run.recipe.data.name, run.recipe.train.sample_count)


def _sample(run: Run, notify: Notifier, images: dict[str, Tensor]) -> None:
    """Paints the fixed preview images, without a graph."""
    if not run.is_main:
        return
    weight = next(run.translator.parameters())
    placed = {domain: image.to(weight.device, weight.dtype) for domain, image in images.items()}
    with torch.no_grad(), run.stepper.eval_mode() as translator:
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


def _note_skipped(run: Run, micro: list[dict[str, Any]]) -> None:
    for batch in micro:
        for line in batch.get("skipped", ()):
            if line not in run.skipped:
                run.skipped.append(line)
                log.warning("skipped: %s", line)
