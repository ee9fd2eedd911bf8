"""Which samples a process draws and in which order, as pure functions of seed, domain, epoch and step."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


@lru_cache(maxsize=8)
def epoch_order(seed: int, domain: str, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of `0 .. count - 1`, the same in every process.

    No generator state is kept anywhere, so a run that resumes in the middle of an epoch, or a worker that reads only
    every fourth sample, sees the same order as one that reads everything.

    Args:
        seed: the data set's seed, >= 0.
        domain: the domain's name; each domain has its own order, or the same images would meet in every epoch.
        epoch: how many times all items have been visited before, >= 0.
        count: how many items the domain has, >= 0.

    Returns:
        order: [count], read-only because the cache hands the same array to every caller.
    """
    # crc32 and not hash(), which is salted differently in every process.
    words = np.random.SeedSequence([seed, zlib.crc32(domain.encode()), epoch])
    order = np.random.Generator(np.random.PCG64(words)).permutation(count).astype(np.int64)
    order.flags.writeable = False
    return order


class InfiniteBatchSampler(Sampler[list[int]]):
    """Sample numbers of each batch of one process, from `first_sample` on, without end.

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
