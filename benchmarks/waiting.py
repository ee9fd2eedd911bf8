"""How long steps wait for their data: the share of time, with and without workers, cache and augmentation.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/waiting.py photos/horse2zebra-256

Each row is a run of its own of CycleGAN on a few real images, in wall-clock time; its first steps, in which workers
start and the cache fills, are left out. A step on a GPU takes a fraction of one on a CPU core, so networks are so
thin here that a step is as short: data is short of time as it is there.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from i2i.core.hookspecs import hookimpl
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

STEPS, FIRST = 120, 20
JIGGLE = [
    {"type": "kornia.augmentation.ColorJiggle", "brightness": 0.2, "hue": 0.1, "p": 1.0},
    {"type": "kornia.augmentation.RandomRotation", "degrees": 5, "p": 1.0},
]
ROWS: dict[str, dict[str, Any]] = {
    "no worker, no cache": {"train.workers": 0, "data.cache": 0},
    "no worker, cache": {"train.workers": 0},
    "one worker, no cache": {"train.workers": 1, "data.cache": 0},
    "one worker, cache": {"train.workers": 1},
    "one worker, cache, augmented by it": {"train.workers": 1, "data.augment": JIGGLE},
    "one worker, cache, augmented on the device": {
        "train.workers": 1,
        "data.augment": JIGGLE,
        "data.augment_on": "device",
    },
}


class Watch:
    """Notes the time and what was waited, at step `FIRST` and at the last one."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    @hookimpl
    def step_finished(self, run: Run, terms: Any) -> None:
        if run.step in (FIRST, STEPS):
            self.seen.append((time.perf_counter(), run.waited))


def some(root: Path, domain: str, folder: Path) -> Path:
    """A folder with as many images as are seen in the steps that are left out."""
    (folder / domain).mkdir()
    for path in sorted((root / f"train{domain.upper()}").iterdir())[:FIRST]:
        shutil.copy(path, folder / domain)
    return folder / domain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path, help="folder with trainA and trainB")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    quiet = {"train.steps": STEPS, "train.checkpoint_every": STEPS, "train.sample_every": 0, "train.log_every": STEPS}
    thin = {f"translator.{network}.channels": options.channels for network in ("generator", "discriminators.local")}
    data = {"data.size": options.size, **thin}
    print("| data | ms a step | of which waiting |\n|---|---|---|")
    for name, row in ROWS.items():
        watch = Watch()
        with tempfile.TemporaryDirectory() as folder:
            few = {f"data.{domain}": some(options.root, domain, Path(folder)) for domain in "ab"}
            train(Recipe.read("cyclegan", {**quiet, **data, **few, **row}), Path(folder) / "run", extras=[watch])
        (began, waited), (ended, in_all) = watch.seen
        each = (ended - began) / (STEPS - FIRST)
        print(f"| {name} | {each * 1000:.0f} | {(in_all - waited) / (ended - began):.0%} |", flush=True)


if __name__ == "__main__":
    main()
