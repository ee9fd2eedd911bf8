"""Measure the CPU time of a sample with and without the cache of images, in turns.

    python benchmarks/data.py photos/selfie2anime-128 --size 128
    python benchmarks/data.py photos/horse2zebra-256 --size 256 --pairs 5

The first pass over the data fills the cache and is reported separately. Later passes alternate with those of a data set
without it; the ratio is the median over the pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from i2i.data.folders import Folders


def timed(data: Folders, numbers: range) -> float:
    """CPU milliseconds for a sample, an image of each domain."""
    began = time.process_time()
    for number in numbers:
        data[number]
    return (time.process_time() - began) / len(numbers) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path, help="folder with trainA and trainB")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--cache", type=int, default=1024, help="MiB")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=300, help="samples of a pass")
    options = parser.parse_args()
    torch.set_num_threads(1)
    plain, cached = (Folders(root=options.root, size=options.size, cache=cache) for cache in (0, options.cache))
    first = timed(cached, range(len(cached)))
    held = sum(images.kept for images in cached.train.values()) / sum(map(len, cached.train.values()))
    pairs = []
    for turn in range(options.pairs):
        numbers = range(turn * options.samples, (turn + 1) * options.samples)
        pairs.append((timed(plain, numbers), timed(cached, numbers)))
    without, with_cache = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print("| images | size | kept | first pass, ms | without, ms | with, ms | ratio |\n|---|---|---|---|---|---|---|")
    print(
        f"| {options.root.name} | {options.size} | {held:.0%} | {first:.2f} | {without:.2f} | {with_cache:.2f} "
        f"| {ratio:.1f} |"
    )


if __name__ == "__main__":
    main()
