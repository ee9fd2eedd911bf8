"""What data parallelism costs a step: CPU time of each process by their number, on one machine with gloo.

    OMP_NUM_THREADS=1 python benchmarks/processes.py

A process that waits for another one uses no CPU time, so a busy machine does not change the figures; what is measured
is the exchange of gradients (copies into buckets, sums, loopback) and the search for unused parameters, not a network.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from rows import images, ugatit

from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

SIZE = 96
RECIPE = "ugatit_light", {"data.size": SIZE, "data.type": "shapes", **ugatit(16)}
VARIANTS: dict[str, tuple[int, dict[str, Any]]] = {
    "one process": (1, {}),
    "two processes": (2, {}),
    "two, buckets of 100 MB": (2, {"bucket_cap_mb": 100}),
    "two, gradients are views of buckets": (2, {"gradient_as_bucket_view": True}),
}


def work(variant: str, folder: Path, steps: int) -> None:
    """Take steps, and write CPU and wall-clock seconds of each."""
    torch.set_num_threads(1)
    # As `i2i.engine.stepper.make_accelerator` has it.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False, **VARIANTS[variant][1])
    accelerator = Accelerator(cpu=True, kwargs_handlers=[ddp])
    stepper = Stepper(Recipe.read(*RECIPE), accelerator)
    seconds = []
    for _ in range(steps + 2):
        began = time.process_time()
        stepper.step(images(SIZE))
        seconds.append(time.process_time() - began)
    trained = [p for phase in stepper.translator.phases for p in stepper.phase_parameters(phase)]
    size = sum(p.numel() * p.element_size() for p in trained)
    found = {"seconds": seconds[2:], "MB": size / 1e6}  # the first two allocate, and DDP orders its buckets
    (folder / f"{accelerator.process_index}.json").write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker[0], Path(options.worker[1]), options.steps)
        return
    print("| U-GAT-IT light, 96 px, 16 channels | CPU ms per process and step | over one process |\n|---|---|---|")
    alone = None
    for variant, (count, _) in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
            command += [__file__, "--steps", str(options.steps), "--worker", variant, folder]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found = [json.loads(path.read_text()) for path in Path(folder).iterdir()]
        middle = 1000 * statistics.median(value for one in found for value in one["seconds"])
        alone = alone or middle
        print(f"| {variant} | {middle:.0f} | {middle - alone:+.0f} |", flush=True)
    print(f"\neach process exchanges gradients of {found[0]['MB']:.0f} MB")


if __name__ == "__main__":
    main()
