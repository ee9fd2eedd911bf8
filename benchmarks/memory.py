"""What `i2i plan` foresees beside what real steps take: memory and seconds, each row in a process of its own.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/memory.py

Foreseen is what a process on a CPU holds with its weights: tensors, and their holes in the C library's heap.
Measured is the peak of resident memory over two steps less that before the networks were made; libraries have been
loaded by a small step of another recipe. Seconds are wall-clock time, in which other work on the machine shows: with
`--pairs` both sides take turns and medians are told.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
from typing import Any

import torch

from i2i.engine.pace import estimate, measure
from i2i.engine.planning import predict
from i2i.recipe.recipe import Recipe

SHAPES = {"data.type": "shapes"}
THIN = {
    **SHAPES,
    "data.size": 128,
    **{f"translator.{n}.channels": 32 for n in ("generator", "discriminators.global_", "discriminators.local")},
}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "U-GAT-IT light, 128 px, 32 channels": ("ugatit_light", THIN),
    "the same with gradient checkpointing": ("ugatit_light", {**THIN, "train.gradient_checkpointing": True}),
    "the same in bf16": ("ugatit_light", {**THIN, "train.precision": "bf16"}),
    "CycleGAN, 128 px, 64 channels": ("cyclegan", {**SHAPES, "data.size": 128}),
    "CUT, 128 px, 64 channels": ("cut", {**SHAPES, "data.size": 128}),
    "pix2pix, 256 px, 64 channels": ("pix2pix", {"data.type": "portrait_pairs", "data.size": 256}),
    "MUNIT, 64 px, 64 channels": ("munit", {**SHAPES, "data.size": 64}),
    "U-GAT-IT light, 256 px, 64 channels": ("ugatit_light", {**SHAPES, "data.size": 256}),
}


def predicted(row: str) -> list[float]:
    plan = predict(Recipe.read(*ROWS[row]))
    return [plan.weights, plan.peak, plan.resident, estimate(plan, torch.device("cpu"))]


def measured(row: str) -> list[float]:
    measure(Recipe.read("quickstart"))
    gc.collect()
    real = measure(Recipe.read(*ROWS[row]))
    return [float("nan") if real.peak is None else real.peak, real.seconds]


def apart(row: str, which: str) -> list[float]:
    """What one of the two says in a process of its own."""
    command = [sys.executable, __file__, "--only", row, which]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(value) for value in json.loads(said.splitlines()[-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", help="parts of the rows' names; all rows without")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only:
        row, which = options.only
        print(json.dumps(predicted(row) if which == "predicted" else measured(row)))
        return
    print("| step | weights | tensors | foreseen | measured, MiB | ratio | about | measured, s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if options.rows and not any(part in row for part in options.rows):
            continue
        pairs = [apart(row, "predicted") + apart(row, "measured") for _ in range(options.pairs)]
        weights, tensors, held, about, peak, seconds = (
            statistics.median(values) for values in zip(*pairs, strict=True)
        )
        sizes = " | ".join(f"{value / 2**20:.0f}" for value in (weights, tensors, held, peak))
        print(
            f"| {row} | {sizes} | {held / peak:.2f} | {about:.1f} | {seconds:.1f} | {about / seconds:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
