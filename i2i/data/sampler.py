"""The order in which a domain is visited: a pure function of seed, domain and epoch."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=8)
def epoch_order(seed: int, domain: str, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of `0 .. count - 1` that every process computes alike.

    No generator state is kept anywhere, so a run that resumes in the middle of an epoch, or a worker that
    reads only every fourth sample, sees the same order as one that reads everything.

    Args:
        seed: the data set's seed, >= 0.
        domain: the domain's name; each domain has its own order, or pairs would stay together for ever.
        epoch: how many times all items have been visited before, >= 0.
        count: how many items the domain has, >= 0.

    Returns:
        order: [count], read-only because the cache hands the same array to every caller.
    """
    # crc32 and not hash(): the latter is salted anew in every process.
    words = np.random.SeedSequence([seed, zlib.crc32(domain.encode()), epoch])
    order = np.random.Generator(np.random.PCG64(words)).permutation(count).astype(np.int64)
    order.flags.writeable = False
    return order
