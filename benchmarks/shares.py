"""Where the time of a training step goes, and how near it is to what the processor could do at best.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/shares.py "128 px"

The limit is the step's own arithmetic, every shortcut taken, over the rate of one large convolution that is measured in
the same process.
"""

from __future__ import annotations

import argparse
import time

import torch
from rows import ROWS, chosen, images, stepper, timed
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from i2i.engine.planning import Tracker

PARTS = {
    "convolutions and matrix products": ("conv", "aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm"),
    "norms": ("group_norm", "batch_norm", "moments", "affine", "aten::linalg_vector_norm"),
    "spectral norm": ("aten::mv", "aten::addmv", "aten::dot", "_norms"),
    "optimizers": ("adam", "zero_grad", "optimizer"),
    "padding": ("_pad",),
    "sums, products, copies": ("aten::",),
}


def rate() -> float:
    """GFLOP/s of a convolution of 256 channels at 64 px, forwards and backwards."""
    x = torch.randn(2, 256, 66, 66, requires_grad=True)
    weight = torch.randn(256, 256, 3, 3, requires_grad=True)
    best = 0.0
    for _ in range(4):
        began = time.process_time()
        y = F.conv2d(x, weight)
        y.sum().backward()
        best = max(best, 3 * 2 * y.numel() * 256 * 9 / (time.process_time() - began) / 1e9)
    return best


def part_of(name: str) -> str:
    lower = name.lower()
    return next((part for part, marks in PARTS.items() if any(mark in lower for mark in marks)), "Python and autograd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", help="parts of the rows' names; all rows without")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for row in chosen(options.rows):
        one = stepper(row, "fast")
        with Tracker() as counted:
            timed(one)
        seconds = min(timed(one) for _ in range(3))
        with profile(activities=[ProfilerActivity.CPU]) as trace:
            one.step(images(ROWS[row][1]["data.size"]))
        times: dict[str, float] = {}
        for event in trace.key_averages():
            times[part_of(event.key)] = times.get(part_of(event.key), 0.0) + event.self_cpu_time_total
        work, speed = counted.flops / 1e9, rate()
        print(f"\n{row}: {seconds:.2f} CPU s, {work:.0f} GFLOP at {speed:.0f} GFLOP/s at best: {work / speed:.2f} s\n")
        print("| part | share |\n|---|---|")
        for part, spent in sorted(times.items(), key=lambda item: -item[1]):
            print(f"| {part} | {spent / sum(times.values()):.0%} |")


if __name__ == "__main__":
    main()
