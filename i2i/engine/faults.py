"""Errors of a training step, explained with a fix."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from i2i.engine import checkpoint
from i2i.errors import DataError, TrainingError, is_out_of_memory

_RESUME = "training resumes from the last checkpoint, if there is one, with --resume"
REMEDY = "lower the learning rate, clip gradients (train.clip_grad_norm=1) or use fp32"
_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|watchdog|timed out", re.IGNORECASE)
"""What backends' errors about a lost process contain where they have no class of their own."""
_DEAD_WORKER = ("DataLoader worker", "Too many open files. Communication with the workers")


class NonFiniteError(TrainingError):
    """Raised when training diverged: losses or weights contain NaN or Inf."""


def check_terms(terms: Mapping[str, Tensor], step: int) -> None:
    """Check that the losses are finite.

    Args:
        terms: loss terms by name, as means over all processes, so that all processes raise at the same step.
        step: number of the step, for the message.

    Raises:
        NonFiniteError: a term is NaN or Inf.
    """
    finite = torch.stack([torch.isfinite(value).all() for value in terms.values()])
    if not finite.all():
        bad = [name for name, good in zip(terms, finite.tolist(), strict=True) if not good]
        raise NonFiniteError(
            f"step {step}: training diverged (NaN or Inf) in {', '.join(bad)}; {REMEDY}; {_RESUME}, or "
            f"automatically with train.rollbacks"
        )


def check_weights(weights: Mapping[str, Tensor], step: int) -> None:
    """Check that the weights are finite, so that a diverged run does not replace usable checkpoints.

    Args:
        weights: state dict of the translator.
        step: number of the step, for the message.

    Raises:
        NonFiniteError: a weight contains NaN or Inf.
    """
    bad = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise NonFiniteError(
            f"step {step}: training diverged (NaN or Inf) in {len(bad)} weights, such as {bad[0]}, so no checkpoint is "
            f"written; {REMEDY}; {_RESUME}"
        )


@contextmanager
def explain_out_of_memory(step: int) -> Iterator[None]:
    """Turn torch's out-of-memory error into one that names the options to lower.

    Args:
        step: number of the step, for the message.

    Raises:
        TrainingError: memory of the device or the host is exhausted.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"step {step}: out of memory. Lower train.batch_size (train.accumulate keeps the batch), data.size or the "
            f"networks' channels, or use train.precision=bf16; {_RESUME}. "
            f"({str(error).split('. ')[0]})"
        ) from error


@contextmanager
def explain_lost_process(folder: Path) -> Iterator[None]:
    """Turn an error of the communication between processes into one that says what to do.

    The processes wait for each other when they start and several times in a step; where one has ended, with its
    machine or alone, the others get an error from gloo or NCCL, or a timeout.

    Args:
        folder: the run folder, for the message.

    Raises:
        TrainingError: another process of the training does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        steps = checkpoint.listed(folder)
        again = f" and resume from step {max(steps)} with --resume {folder}" if steps else ", as nothing was saved yet"
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} has lost the connection to another one, which "
            f"has ended or whose machine is down: launch all of them again{again} ({reason[:160]})"
        ) from error


def is_lost_connection(error: Exception) -> bool:
    """Return whether an error says, in a training of several processes, that another one does not answer."""
    several = os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ
    return several and (isinstance(error, torch.distributed.DistError) or bool(_LOST.search(str(error))))


@contextmanager
def explain_worker_failure(what: str) -> Iterator[None]:
    """Turn torch's error about a dead data loader worker into one that names the causes.

    Torch raises it from a signal handler, at any line of the main process.

    Args:
        what: description of the data set and its workers, for the message.

    Raises:
        DataError: a data loader worker has died.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        reason = " ".join(str(error).split())
        if not isinstance(error, RuntimeError):  # the worker died while sending a batch, before torch noticed
            reason = f"DataLoader worker died ({type(error).__name__}: {reason})."
        elif not any(words in reason for words in _DEAD_WORKER):
            raise
        raise DataError(
            f"{what}: {reason} If the system ran out of memory, lower train.workers or data.cache; otherwise find the "
            f"error of the data set with train.workers=0; {_RESUME}"
        ) from error
