"""How long a training step takes, with shortcuts and without: CPU time, both in one run, in turns.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/step.py

The reference step is `train.reference = true`: the same mathematics without optimizations. Steps of both kinds take
turns, so that a busy machine slows both; the ratio is the median over the pairs. Memory is the peak of a separate
process for each kind, less what it had before anything was built.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import torch
from rows import KINDS, chosen, forget_peak, import_all, resident, stepper, take_two, timed


def memory(row: str, kind: str) -> float:
    """Peak in MiB of two steps, in a process of its own."""
    command = [sys.executable, __file__, "--memory", row, kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(row: str, kind: str) -> None:
    import_all(row)
    before = forget_peak()
    take_two(row, kind)
    print(resident("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", help="parts of the rows' names; all rows without")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--kind", choices=[kind for kind in KINDS if kind != "plain"], default="fast")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        measure_memory(*options.memory)
        return
    print(f"| step | plain, CPU s | {options.kind}, CPU s | ratio | memory MiB, plain | {options.kind} | share |")
    print("|---|---|---|---|---|---|---|")
    for row in chosen(options.rows):
        both = stepper(row, "plain"), stepper(row, options.kind)
        for one in both:
            timed(one)  # the first step allocates what later ones reuse
        pairs = [(timed(both[0]), timed(both[1])) for _ in range(options.pairs)]
        plain, fast = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        del both
        peaks = [memory(row, kind) for kind in ("plain", options.kind)]
        share = peaks[1] / peaks[0]
        print(
            f"| {row} | {plain:.2f} | {fast:.2f} | {ratio:.2f} | {peaks[0]:.0f} | {peaks[1]:.0f} | {share:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
