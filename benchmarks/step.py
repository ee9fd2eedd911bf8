"""How long a training step takes, with shortcuts and without: CPU time, both in one run, in turns.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/step.py

The plain step is `train.plain = true`: the same mathematics in as many operations as the methods' texts have. Steps of
both kinds take turns, so that a busy machine slows both; the ratio is the median over the pairs. Memory is the peak of
a process of its own for each kind, less what it had before its first step.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.recipe.recipe import Recipe
from i2i.training.stepper import Stepper

LIGHT = {"translator.generator.light": True}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "U-GAT-IT light, 256 px, 64 channels": ("ugatit_light", {}),
    "U-GAT-IT light, 128 px, 32 channels": (
        "ugatit_light",
        {
            "data.size": 128,
            "translator.generator.channels": 32,
            "translator.discriminators.global.channels": 32,
            "translator.discriminators.local.channels": 32,
        },
    ),
    "U-GAT-IT full, 96 px, 16 channels": (
        "ugatit",
        {
            "data.size": 96,
            "translator.generator.channels": 16,
            "translator.discriminators.global.channels": 16,
            "translator.discriminators.local.channels": 16,
        },
    ),
    "CycleGAN, 256 px, 64 channels": ("cyclegan", {}),
    "CUT, 256 px, 64 channels": ("cut", {}),
}


def stepper(row: str, kind: str) -> Stepper:
    recipe, settings = ROWS[row]
    more = {"plain": {"train.plain": True}, "fast": {}, "bf16": {"train.precision": "bf16"}}[kind]
    return Stepper(Recipe.read(recipe, {"data.size": 256, **settings, **more, "data.type": "shapes"}))


def images(size: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return {domain: torch.rand(1, 3, size, size, generator=draws) * 2 - 1 for domain in "ab"}


def timed(one: Stepper) -> float:
    began = time.process_time()
    one.step(images(one.recipe.image_size))
    return time.process_time() - began


def memory(row: str, kind: str) -> float:
    """Peak in MiB of two steps, in a process of its own."""
    command = [sys.executable, __file__, "--memory", row, kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(row: str, kind: str) -> None:
    one = stepper(row, kind)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    before = resident("VmRSS")
    for _ in range(2):
        one.step(images(one.recipe.image_size))
    print(resident("VmHWM") - before)


def resident(what: str) -> float:
    """A line of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{what}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", help="parts of the rows' names; all rows without")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--kind", choices=["fast", "bf16"], default="fast")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        measure_memory(*options.memory)
        return
    print(f"| step | plain, CPU s | {options.kind}, CPU s | ratio | memory MiB, plain | {options.kind} | share |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if options.rows and not any(part in row for part in options.rows):
            continue
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
