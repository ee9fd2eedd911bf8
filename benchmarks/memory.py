"""What `i2i plan` predicts next to what real steps need: memory, each row in a process of its own.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/memory.py

Predicted is the sum of all tensors at the peak of a step. Measured is what the process held at its peak beyond what it
held before the networks were built; libraries have been loaded by a small step of another recipe. On a CPU it includes
the holes in the C library's heap, so that the ratio is below 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from typing import Any

import torch

from i2i.engine.planning import measure, predict
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
    return [plan.weights, plan.peak, plan.flops]


def measured(row: str) -> list[float]:
    measure(Recipe.read("ugatit_small"))
    gc.collect()
    seconds, peak = measure(Recipe.read(*ROWS[row]))
    return [float("nan") if peak is None else peak, seconds]


def in_process(row: str, which: str) -> list[float]:
    """Run one of the two in a process of its own."""
    command = [sys.executable, __file__, "--only", row, which]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(value) for value in json.loads(output.splitlines()[-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="*", help="parts of the rows' names; all rows by default")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.only:
        row, which = arguments.only
        print(json.dumps(predicted(row) if which == "predicted" else measured(row)))
        return
    print("| step | weights, MiB | predicted, MiB | measured, MiB | ratio | GFLOP | s |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if arguments.rows and not any(part in row for part in arguments.rows):
            continue
        (weights, peak, flops), (real, seconds) = in_process(row, "predicted"), in_process(row, "measured")
        sizes = " | ".join(f"{value / 2**20:.0f}" for value in (weights, peak, real))
        print(f"| {row} | {sizes} | {peak / real:.2f} | {flops / 1e9:.0f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
