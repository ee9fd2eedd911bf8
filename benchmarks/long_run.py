"""Does a long run grow? Memory, open files, threads and log bytes of one small training, every so many steps.

    python benchmarks/long_run.py --steps 20000

The run is `ugatit_small` at its smallest, with workers, samples, checkpoints, averages and all that `i2i train` brings.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from pathlib import Path

import torch

import i2i
from i2i.core.hookspecs import hookimpl
from i2i.engine.hooks.diagnostics import Diagnostics
from i2i.engine.hooks.log import JSONLines
from i2i.engine.hooks.samples import Samples
from i2i.engine.run import Run

SETTINGS = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.global_.channels": 4,
    "translator.discriminators.global_.layers": 5,
    "translator.discriminators.local.channels": 4,
    "data.size": 32,
    "data.count": 64,
    "train.batch_size": 1,
    "train.workers": 1,
    "train.threads": 1,
    "train.ema": 0.99,
    "train.sample_every": 500,
    "train.checkpoint_every": 500,
}


class Watch:
    """Prints a row of the table at every mark."""

    def __init__(self, every: int) -> None:
        self.every = every

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step % self.every and run.step != 100:
            return
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count of a folder that changes while it is read
        log = (run.folder / "log.jsonl").stat().st_size / run.step
        print(
            f"| {run.step} | {memory:.0f} | {files} | {threading.active_count()} | {log:.1f} | {len(run.findings)} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| step | memory MiB | open files | threads | log bytes per step | findings |\n|---|---|---|---|---|---|")
    recipe = i2i.Recipe.read("ugatit_small", SETTINGS | {"train.steps": options.steps})
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(options.steps // options.rows)
        i2i.train(recipe, Path(folder) / "run", extras=[Samples(), Diagnostics(), JSONLines(), watch])


if __name__ == "__main__":
    main()
