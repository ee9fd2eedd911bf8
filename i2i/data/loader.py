"""Batches of a data set, the same for any number of workers and after any resume."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from i2i.core.contracts import Dataset
from i2i.data.checked import CheckedDataset, collate_or_error
from i2i.data.sampler import InfiniteBatchSampler
from i2i.errors import DataError


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One batch from samples with the same keys: tensors are stacked, lists joined, other values listed.

    Args:
        samples: those of one batch, at least one.

    Returns:
        batch: for `Folders`: "a" and "b", [B, 3, size, size] in [-1, 1], and "skipped", a list of lines.

    Raises:
        DataError: tensors of one key differ in shape.
    """
    return {key: _join(key, [sample[key] for sample in samples]) for key in samples[0]}


def _join(key: str, values: list[Any]) -> Any:
    if all(isinstance(value, Tensor) for value in values):
        if len(shapes := {tuple(value.shape) for value in values}) > 1:
            raise DataError(
                f"samples of one batch: expected {key!r} in one shape, got {sorted(shapes)}; resize them alike"
            )
        return torch.stack(values)
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    return values


def make_loader(
    dataset: Dataset | CheckedDataset,
    *,
    batch_size: int,
    first_sample: int = 0,
    processes: int = 1,
    rank: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[dict[str, Any]]:
    """A loader over `InfiniteBatchSampler` and `collate`.

    Each iterator starts at `first_sample` again, so a training keeps one, which `reading` opens.

    Args:
        dataset: where samples come from.
        batch_size: samples of one micro-batch in one process.
        first_sample: how many samples all processes together have drawn before.
        processes: how many processes train together.
        rank: this process, 0 to `processes - 1`.
        workers: processes that read ahead, each with a single torch thread; 0 reads in this one.
        pin_memory: whether batches come in page-locked memory, from which copies to a CUDA device can overlap.
    """
    return DataLoader(
        cast(TorchDataset[dict[str, Any]], dataset),
        batch_sampler=InfiniteBatchSampler(batch_size, first_sample, processes, rank),
        num_workers=workers,
        collate_fn=partial(collate_or_error, collate),
        pin_memory=pin_memory,
        # Forked workers start at once and share the list of files. Elsewhere (macOS) fork breaks system libraries.
        multiprocessing_context=("fork" if sys.platform == "linux" else "spawn") if workers else None,
        worker_init_fn=_start_worker if workers else None,
        # Without one, each iterator draws from torch's global generator, and weights initialized after it would differ.
        generator=torch.Generator(),
    )


def reading(loader: DataLoader[dict[str, Any]]) -> closing[Generator[dict[str, Any], None, None]]:
    """A context that gives a loader's batches and ends its workers on leaving.

    torch ends workers when their iterator is finalized. Left to the garbage collector they may find their queues closed
    before they get the message to stop, and torch then waits ten seconds for each. So the iterator is held only in this
    generator, which `closing` ends.
    """
    return closing(_batches(loader))


def _batches(loader: DataLoader[dict[str, Any]]) -> Generator[dict[str, Any], None, None]:
    try:
        yield from loader
    except BaseException as error:
        # The error's traceback holds torch's frames, and they hold the iterator: their variables are dropped.
        traceback.clear_frames(error.__traceback__)
        raise


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)  # many threads in many workers wait for each other longer than they compute
    # Ctrl-C and batch systems signal the whole process group, while the main process finishes its step and saves;
    # torch would raise in the middle of that step if a worker died. The loader ends its workers by other means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _obey_next_signal)


def _obey_next_signal(number: int, _: object) -> None:
    """Ignores a first SIGTERM, so that a second one ends a worker whose main process is gone."""
    signal.signal(number, signal.SIG_DFL)
