"""i2i's training step next to the official one: CPU time, both in one run, in turns.

    git clone https://github.com/znxlwm/UGATIT-pytorch
    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/beside.py UGATIT-pytorch U-GAT-IT

CycleGAN and CUT run next to taesungp/contrastive-unpaired-translation, whose clone has both. Memory is the peak of a
process of its own for each, less what it had when all was imported and nothing built.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import official
import torch
from rows import KINDS, chosen, forget_peak, import_all, resident, stepper, take_two, timed


def in_turns(row: str, code: Path, kinds: list[str], pairs: int) -> dict[str, list[float]]:
    """CPU seconds of steps that take turns; the first turn, which allocates what later ones reuse, is left out."""
    ours = {kind: stepper(row, kind) for kind in kinds}
    found: dict[str, list[float]] = {"official": [], **{kind: [] for kind in kinds}}
    began: list[float] = []

    def between() -> None:
        now = time.process_time()
        if began:
            found["official"].append(now - began.pop())
        for kind, one in ours.items():
            found[kind].append(timed(one))
        began.append(time.process_time())

    official.run(row, code, pairs + 1, between)
    return {kind: values[1 : pairs + 1] for kind, values in found.items()}


def memory(row: str, code: Path, kind: str) -> float:
    """Peak in MiB of two steps, in a process of its own."""
    command = [sys.executable, __file__, str(code), row, "--memory", kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(row: str, code: Path, kind: str) -> None:
    import_all(row)
    before = forget_peak()
    if kind == "official":
        official.run(row, code, 2, lambda: None)
    else:
        take_two(row, kind)
    print(resident("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("code", type=Path, help="a clone of the authors' code")
    parser.add_argument("rows", nargs="+", help="parts of the rows' names")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--kinds", default="fast", help=f"of {', '.join(KINDS)}, with commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kinds = options.kinds.split(",")
    if options.memory:
        measure_memory(options.rows[0], options.code, options.memory)
        return
    print("| step | which | CPU s | official / this | memory MiB | share |\n|---|---|---|---|---|---|")
    for row in chosen(options.rows):
        # First, while this process is small: some rows need ten gigabytes.
        peaks = {kind: memory(row, options.code, kind) for kind in ("official", *kinds)}
        times = in_turns(row, options.code, kinds, options.pairs)
        for kind, seconds in times.items():
            ratios = sorted(one / other for one, other in zip(times["official"], seconds, strict=True))
            ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            share = peaks[kind] / peaks["official"]
            middle = statistics.median(seconds)
            print(f"| {row} | {kind} | {middle:.2f} | {ratio} | {peaks[kind]:.0f} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
