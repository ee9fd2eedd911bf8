"""What `--deterministic` costs: CPU time of steps with it and without, in turns, in one process.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/deterministic.py

The ratio is the median over the pairs, with the quartiles; `equal` says whether both came to the same bits.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from i2i.engine.determinism import determinism
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

ROWS = {
    "U-GAT-IT, `ugatit_small`, 48 px": ("ugatit_small", {}),
    "U-GAT-IT light, 64 px, 16 channels": (
        "ugatit_light",
        {
            "data.size": 64,
            "data.type": "shapes",
            "translator.discriminators.global_.layers": 6,
            **{f"translator.{part}.channels": 16 for part in ("generator", "discriminators.global_")},
            "translator.discriminators.local.channels": 16,
        },
    ),
    "CycleGAN, `cyclegan_small`, 32 px": ("cyclegan_small", {}),
}


def timed(one: Stepper, images: dict[str, Tensor], wanted: bool) -> float:
    """CPU seconds of one step."""
    with determinism(wanted):
        began = time.process_time()
        one.step(images)
        return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| step | without, CPU s | with, CPU s | ratio | quartiles | equal |")
    print("|---|---|---|---|---|---|")
    for row, (recipe, settings) in ROWS.items():
        read = Recipe.read(recipe, settings)
        both = Stepper(read), Stepper(read)
        draws = torch.Generator().manual_seed(0)
        shape = read.train.batch_size, 3, *read.image_size
        images = {domain: torch.rand(shape, generator=draws) * 2 - 1 for domain in "ab"}
        for _ in range(2):
            for wanted, one in enumerate(both):  # the first steps allocate what later ones reuse
                timed(one, images, bool(wanted))
        pairs = []
        for number in range(options.pairs):  # which is first matters for what the caches hold
            turn = (0, 1) if number % 2 else (1, 0)
            times = {wanted: timed(both[wanted], images, bool(wanted)) for wanted in turn}
            pairs.append((times[0], times[1]))
        plain, exact = (statistics.median(times) for times in zip(*pairs, strict=True))
        first, ratio, third = statistics.quantiles((exact / plain for plain, exact in pairs), n=4)
        states = [one.translator.state_dict() for one in both]
        equal = all(torch.equal(value, states[1][name]) for name, value in states[0].items())
        cells = f"{plain:.3f} | {exact:.3f} | {ratio:.3f} | {first:.3f}–{third:.3f} | {'yes' if equal else 'no'}"
        print(f"| {row} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
