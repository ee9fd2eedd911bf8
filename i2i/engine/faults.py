"""What can go wrong in a step, told with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from i2i.errors import DataError, TrainingError, is_out_of_memory

REMEDY = "lower the learning rate, clip gradients (train.clip_grad_norm=1) or use fp32"
_DEAD_WORKER = ("DataLoader worker", "Too many open files. Communication with the workers")


class NonFiniteError(TrainingError):
    """Losses or weights are no longer numbers."""


def check_terms(terms: Mapping[str, Tensor], step: int) -> None:
    """Looks whether the losses are numbers; given means over all processes, all come to the same verdict.

    Raises:
        NonFiniteError: names the terms that are none.
    """
    finite = torch.stack([torch.isfinite(value).all() for value in terms.values()])
    if not finite.all():
        bad = [name for name, good in zip(terms, finite.tolist(), strict=True) if not good]
        raise NonFiniteError(
            f"step {step}: {', '.join(bad)} is no longer a number. The last checkpoint stands; {REMEDY}, and resume; "
            f"or let train.rollbacks go back by itself"
        )


def check_weights(weights: Mapping[str, Tensor], step: int) -> None:
    """Keeps a run that has burst from writing over what it had learnt.

    Raises:
        NonFiniteError: names a weight that is no number.
    """
    bad = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise NonFiniteError(
            f"step {step}: {len(bad)} weights, such as {bad[0]}, hold values that are no numbers, so no "
            f"checkpoint is written. The last one stands; {REMEDY}, and resume"
        )


@contextmanager
def explain_out_of_memory(step: int) -> Iterator[None]:
    """Says what to lower where a device's memory does not suffice.

    Raises:
        TrainingError: instead of torch's own error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"step {step}: out of memory. Lower train.batch_size (train.accumulate keeps the batch), data.size or the "
            f"networks' channels, or use train.precision=bf16; a run that has a checkpoint continues with --resume. "
            f"({str(error).split('. ')[0]})"
        ) from error


@contextmanager
def explain_worker_failure(what: str) -> Iterator[None]:
    """Says what to do where a process that reads data has died; torch raises that in the middle of anything.

    Args:
        what: the data set and its workers.

    Raises:
        DataError: instead of torch's own error.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        found = " ".join(str(error).split())
        if not isinstance(error, RuntimeError):  # it died while it handed a batch over, before torch saw it dead
            found = f"DataLoader worker gone ({type(error).__name__}: {found})."
        elif not any(words in found for words in _DEAD_WORKER):
            raise
        raise DataError(
            f"{what}: {found} If the system had no memory left, lower "
            f"train.workers or data.cache; otherwise see what the data set does with train.workers=0. A run that has a "
            f"checkpoint continues with --resume"
        ) from error
