"""Batches of an endless stream of samples, the same for any number of workers and after any resume."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils import data

from i2i.core.contracts import Dataset
from i2i.data.checked import CheckedDataset, collate_or_error
from i2i.errors import DataError


class InfiniteBatchSampler(data.Sampler[list[int]]):
    """Sample numbers of each batch of one process, from `first_sample` on without an end.

    Sample i of batch m in process r, where micro-batches count as batches, has the number

        n = first_sample + (m * processes + r) * batch_size + i

    so that each number is drawn once, two processes draw what one with the double batch draws, and two micro-batches
    what one step without them draws from twice the batch.

    Args:
        batch_size: samples of one micro-batch in one process.
        first_sample: how many samples all processes together have drawn before.
        processes: how many processes train together.
        rank: this process, 0 to `processes - 1`.
    """

    def __init__(self, batch_size: int, first_sample: int = 0, processes: int = 1, rank: int = 0) -> None:
        self.batch_size = batch_size
        self.first_sample = first_sample
        self.processes = processes
        self.rank = rank

    def __iter__(self) -> Iterator[list[int]]:
        for batch in count():
            first = self.first_sample + (batch * self.processes + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One batch from samples with the same keys: tensors are stacked, lists joined, other values listed.

    Returns:
        batch: for `Folders`: "a" and "b", [B, 3, S, S] in [-1, 1], and "skipped", a list of lines.
    """
    return {key: _join(key, [sample[key] for sample in samples]) for key in samples[0]}


def _join(key: str, values: list[Any]) -> Any:
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) == len(values):
        if len(shapes := {tuple(tensor.shape) for tensor in tensors}) > 1:
            raise DataError(
                f"samples of one batch: expected {key!r} in one shape, got {sorted(shapes)}; resize them alike"
            )
        return torch.stack(tensors)
    lists = [value for value in values if isinstance(value, list)]
    return [item for value in lists for item in value] if len(lists) == len(values) else values


def make_loader(
    dataset: Dataset | CheckedDataset,
    *,
    batch_size: int,
    first_sample: int = 0,
    processes: int = 1,
    rank: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
) -> data.DataLoader[dict[str, Any]]:
    """Return a loader over `InfiniteBatchSampler` and `collate`; each of its iterators starts at `first_sample`.

    Args:
        workers: processes that read ahead, each with a single torch thread; 0 reads in this one.
        pin_memory: whether batches come in page-locked memory, from which copies to a CUDA device can overlap.
        For the rest see `InfiniteBatchSampler`.
    """
    return data.DataLoader(
        cast(data.Dataset[dict[str, Any]], dataset),
        batch_sampler=InfiniteBatchSampler(batch_size, first_sample, processes, rank),
        num_workers=workers,
        collate_fn=partial(collate_or_error, collate),
        pin_memory=pin_memory,
        # Forked workers start at once and share the list of files. Elsewhere (macOS) fork breaks system libraries.
        multiprocessing_context=("fork" if sys.platform == "linux" else "spawn") if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_start_worker if workers else None,
        # Without one each iterator draws from torch's global generator, and weights made after it would differ.
        generator=torch.Generator(),
    )


@contextmanager
def reading(loader: data.DataLoader[dict[str, Any]]) -> Iterator[Iterator[dict[str, Any]]]:
    """A loader's batches; its workers end with the block.

    Left to the garbage collector they may find their queues closed before they are told, and torch then waits ten
    seconds for each; an error's traceback, which holds the batches, keeps them until the process ends.
    """
    batches = iter(loader)
    try:
        yield batches
    finally:
        end = getattr(batches, "_shutdown_workers", None)  # torch has no public name; without workers there is none
        if end is not None:
            end()


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)  # many threads in many workers wait for each other longer than they compute
    # Ctrl-C and batch systems signal the whole process group, while the main process wants to finish its step and save;
    # torch would raise in the middle of that step if a worker died. The loader ends its workers otherwise.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _heed_the_next)


def _heed_the_next(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
