"""The training loop: steps, checkpoints and hooks, independent of the method."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
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
from i2i.engine.faults import (
    NonFiniteError,
    check_terms,
    explain_lost_process,
    explain_out_of_memory,
    explain_worker_failure,
)
from i2i.engine.hooks.notify import Notifier
from i2i.engine.run import Run
from i2i.engine.run_lock import lock_run_folder, write_recipe
from i2i.engine.signals import stop_signals
from i2i.engine.stall import DataWatch
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.engine.warm_start import warm_start
from i2i.errors import CheckpointError, DataError
from i2i.methods.assembly import build, check_image_size, dry_run
from i2i.methods.compilation import explain_compile_failure
from i2i.methods.translator import Translator
from i2i.recipe.recipe import Recipe

MAX_FAILED_WRITES = 3
"""Number of consecutive failures to write a checkpoint after which a run stops."""
log = logging.getLogger("i2i")


def train(
    recipe: Recipe,
    folder: str | Path,
    resume: checkpoint.Checkpoint | None = None,
    extras: Sequence[Any] = (),
    plugins: Plugins | None = None,
    device: str | None = None,
) -> Run:
    """Train a recipe to its last step, or until SIGINT or SIGTERM requests to save and stop.

    Args:
        recipe: the recipe.
        folder: the run folder; created if it does not exist.
        resume: checkpoint to continue from; None starts a new run.
        extras: objects with hook implementations for this run, such as a progress bar.
        plugins: plugins whose hooks are called; the default plugins when None.
        device: device to train on, such as `cpu`, `cuda:1` or `mps`; the machine's accelerator when None.

    Returns:
        The run after its last step.

    Raises:
        RecipeError: the recipe's components do not work together.
        CheckpointError: the folder contains another run, or the checkpoint does not fit the recipe.
        TrainingError: training diverged (NaN or Inf), or memory is exhausted.
    """
    folder = Path(folder)
    check_image_size(recipe)  # before the data set, which resizes an image
    # Missing data is the most frequent error and the fastest to detect, so the data set is created first.
    dataset = recipe.data(seed=recipe.train.seed)
    overlap = getattr(dataset, "overlap", lambda: None)()
    if overlap is not None and resume is None:
        raise DataError(overlap)
    with describe_errors(dataset, f"dataset {recipe.data.name!r}"):
        streams = {**recipe.streams, **dataset.streams}
        samples = len(dataset) if recipe.train.epochs is not None else 0
    dry_run(recipe, streams)
    if recipe.train.threads is not None:
        torch.set_num_threads(recipe.train.threads)
    with explain_lost_process(folder), determinism(recipe.train.deterministic):
        accelerator = make_accelerator(recipe.train.precision, device, recipe.train.process_timeout)
        with explain_out_of_memory(0):
            translator = build(recipe, streams=streams)
            recipe = _with_steps(recipe, samples, translator, int(accelerator.num_processes))
            run = Run(folder, recipe, Stepper(recipe, accelerator, translator), dataset)
        if resume is not None and resume.step > run.steps:
            raise CheckpointError(f"{folder} has taken {resume.step} steps, more than the {run.steps} of the recipe")
        if run.best is not None:
            run.best.check(run.dataset, run.translator.requires_condition)
        with lock_run_folder(folder, resume is not None, run.is_main):
            if resume is not None:
                run.load(resume)
                for change in run.changes if run.is_main else ():
                    log.warning("changed since the checkpoint: %s", change)
            elif recipe.train.init is not None:
                warm_start(run)
            if run.is_main:
                write_recipe(folder, recipe)
            accelerator.wait_for_everyone()
            with stop_signals() as stop, Notifier(plugins or default_plugins(), [*extras]) as notify:
                notify("training_started", run=run)
                too_few = getattr(run.dataset, "too_few", lambda: None)()
                if too_few is not None and run.start == 0:
                    raise DataError(too_few)  # after the log has named the files that were passed over
                _train(run, notify, stop)
                run.gather_skipped()
                notify("training_finished", run=run)
    return run


def _with_steps(recipe: Recipe, samples: int, translator: Translator, processes: int) -> Recipe:
    """Return a recipe whose number of steps follows from its number of epochs, if it has any.

    The result has no epochs, so that a resumed run takes as many steps, whatever becomes of its data.

    Args:
        recipe: the recipe.
        samples: samples of one epoch.
        translator: its phases decide how many batches a step takes.
        processes: number of processes.
    """
    train = recipe.train
    if train.epochs is None:
        return recipe
    phases = [len(translator.active_phases(step)) if train.batches == "per_phase" else 1 for step in range(100)]
    per_step = processes * train.batch_size * train.accumulate * sum(phases) / len(phases)
    steps = max(1, math.ceil(train.epochs * samples / per_step))
    return replace(recipe, train=replace(train, steps=steps, epochs=None))


def _train(run: Run, notify: Notifier, stop: threading.Event) -> None:
    """Run the loop; after divergence, restart it from the last checkpoint as often as the recipe allows."""
    while True:
        try:
            return _loop(run, notify, stop)
        except NonFiniteError as error:
            if run.rollbacks >= run.recipe.train.rollbacks or not checkpoint.listed(run.folder):
                raise
            # The same samples would diverge again, so the samples drawn since the checkpoint are skipped. A run that is
            # killed now repeats this from the same checkpoint with the same result.
            rollbacks, samples = run.rollbacks + 1, run.samples
            run.load(checkpoint.find(run.folder))
            run.rollbacks, run.samples = rollbacks, samples
            log.warning(
                "%s. Rolling back to step %d (%d of %d)", error, run.step, rollbacks, run.recipe.train.rollbacks
            )


def _loop(run: Run, notify: Notifier, stop: threading.Event) -> None:
    options = run.recipe.train
    preview = _preview(run)
    saved = run.step if run.start and run.step == run.start else None
    data = f"dataset {run.recipe.data.name!r} with {options.workers} workers"
    with explain_worker_failure(data), reading(_loader(run)) as batches, DataWatch(data) as watch:
        while run.step < run.steps and not run.interrupted and not run.ended_early:
            with watch.waiting(run.step + 1):
                micro = [raise_if_error(batch) for batch in islice(batches, run.stepper.batches_per_step)]
                samples = run.samples_per_step
            run.waited += watch.last
            _note_skipped(run, micro)
            with explain_out_of_memory(run.step + 1), explain_compile_failure():
                device = run.stepper.accelerator.device
                terms = run.stepper.step(*(apply_device_transform(run.dataset, batch, device) for batch in micro))
            run.samples += samples
            if run.best is not None:
                run.best.add(terms)
            if run.step % options.log_every == 0 or run.step == run.steps:
                terms = run.stepper.mean_over_processes(terms)
                check_terms(terms, run.step)
            notify("step_finished", run=run, terms=terms)
            if options.sample_every and (run.step % options.sample_every == 0 or run.step == run.steps):
                _sample(run, notify, preview)
            if run.evaluation_is_due:
                _evaluate(run, notify)
            run.interrupted = run.step < run.steps and _stop_requested(run, stop)
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
    """Write a checkpoint and return its step, or None if writing failed and the run continues without it."""
    try:
        folder = run.save()
    except checkpoint.WriteError as error:
        run.unwritten += 1
        if run.step == run.steps or run.interrupted or run.unwritten >= MAX_FAILED_WRITES:
            raise
        warning = "%s. Training continues until the next checkpoint (failure %d of %d)"
        log.warning(warning, error, run.unwritten, MAX_FAILED_WRITES)
        return None
    run.unwritten = 0
    notify("checkpoint_saved", run=run, folder=folder)
    return run.step


def _evaluate(run: Run, notify: Notifier) -> None:
    """Measure the translator; the figures of an earlier step must not stand for this one where that fails."""
    began = time.perf_counter()
    run.metrics.clear()
    notify("evaluate_checkpoint", run=run)
    run.evaluated = run.step
    notify("evaluation_finished", run=run, seconds=time.perf_counter() - began)


def _preview(run: Run) -> dict[str, Tensor]:
    if not run.recipe.train.sample_every or not run.is_main:
        return {}
    return checked_preview(run.dataset, run.recipe.data.name, run.recipe.train.sample_count)


def _sample(run: Run, notify: Notifier, images: dict[str, Tensor]) -> None:
    """Translate the fixed preview images without gradients, and notify the hooks."""
    if not run.is_main:
        return
    weight = next(run.translator.parameters())
    placed = {
        name: value.to(weight.device, weight.dtype if value.is_floating_point() else value.dtype)
        for name, value in images.items()
    }
    with torch.no_grad(), run.stepper.eval_mode() as translator:
        rows = translator.preview(placed)
    flat = {
        f"{caption} · {domain}": image.float().cpu() for caption, row in rows.items() for domain, image in row.items()
    }
    notify("images_sampled", run=run, images=flat)


def _stop_requested(run: Run, stop: threading.Event) -> bool:
    """Return whether any process was asked to stop; all processes must stop after the same step."""
    accelerator = run.stepper.accelerator
    requested = stop.is_set() or run.stop_requested
    if accelerator.num_processes == 1:
        return requested
    requests = torch.tensor([float(requested)], device=accelerator.device)
    return bool(accelerator.reduce(requests, "sum").item() > 0)


def _note_skipped(run: Run, micro: list[dict[str, Any]]) -> None:
    for batch in micro:
        for line in batch.get("skipped", ()):
            if line not in run.skipped:
                run.skipped.append(line)
                log.warning("skipped: %s", line)
