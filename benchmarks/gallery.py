"""Make the gallery of the documentation from drawn data: train each recipe for some steps and write its sample grid.

    uv run python benchmarks/gallery.py                        # all of them, about eight minutes of one core
    uv run python benchmarks/gallery.py pix2pix_small          # some of them
    uv run python benchmarks/gallery.py --steps 5 --output build/gallery     # a quick look at the layout

Writes `docs/gallery/RECIPE.png`, and the steps and the CPU seconds of each training into `docs/gallery/measured.json`.
`docs/generate.py` puts these into the page. No file is read and nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

import i2i
from i2i.data.writing import write_image
from i2i.engine.hooks.samples import grid
from i2i.engine.run import Run

STEPS = {
    "pix2pix_small": 500,
    "cut_small": 400,
    "cyclegan_small": 900,
    "pix2pix_classes_small": 500,
    "super_resolution_small": 150,
    "fomm_small": 600,
    "fast_style_small": 600,
}
"""Recipes of the gallery, and how long each trains."""
COUNT = 4
"""Number of images of each domain."""


class Capture:
    """Hook that keeps the last sample images of a run."""

    images: Mapping[str, Tensor]

    @i2i.hookimpl
    def images_sampled(self, run: Run, images: Mapping[str, Tensor]) -> None:
        self.images = images


def train(name: str, steps: int) -> tuple[Mapping[str, Tensor], float]:
    """Train a recipe; return its last sample images and the CPU seconds that this took, those of children included."""
    settings = {
        "train.steps": steps,
        "train.workers": 0,
        "train.threads": 1,
        "train.seed": 0,
        "train.sample_every": steps,
        "train.sample_count": COUNT,
        "train.checkpoint_every": steps,
    }
    capture = Capture()
    with tempfile.TemporaryDirectory() as folder:
        begin = sum(os.times()[:4])
        i2i.train(i2i.Recipe.read(name, settings), Path(folder) / "run", extras=[capture], device="cpu")
        return capture.images, sum(os.times()[:4]) - begin


def main() -> None:
    """Train, and write an image and a line of `measured.json` for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=[*STEPS], help="recipes; all of the gallery by default")
    parser.add_argument("--steps", type=int, help="steps of every recipe, in place of those of the gallery")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "gallery")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.output.mkdir(parents=True, exist_ok=True)
    record = given.output / "measured.json"
    for name in given.recipes:
        steps = given.steps or STEPS[name]
        images, seconds = train(name, steps)
        write_image(grid(images), given.output / f"{name}.png")
        measured = json.loads(record.read_text("utf-8")) if record.exists() else {}
        measured[name] = {"steps": steps, "seconds": round(seconds)}
        record.write_text(json.dumps(measured, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{name}: {steps} steps, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
