"""Randomness that is counted, not drawn in passing: every draw follows from the run's seed and where it is needed."""

from __future__ import annotations

import hashlib


def seed_of(*parts: int | str) -> int:
    """A seed in [0, 2^63) that depends on all parts and nothing else: `seed_of(seed, "weights")`."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
