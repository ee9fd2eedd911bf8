"""Measure a run of `stylegan2_portraits32`: quality over time, truncation, and what coarse and fine layers change.

i2i train stylegan2_portraits32
python plugins/i2i-stylegan/tests/acceptance.py runs/stylegan2_portraits32
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from i2i_stylegan.latents import coarse_layers, mix
from torch import Tensor

import i2i
from i2i.demo.attribute_network import held_out_accuracy, train_attribute_network
from i2i.demo.portraits import Portraits
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.image_sets import from_arrays, to_pixels

COUNT = 128
SHAPE = ("x", "y", "tilt", "scale", "long_hair")
COLOUR = ("hair_red", "hair_green", "hair_blue", "skin_light", "background_red", "background_green", "background_blue")


def quality(run: Path, tenth: Path) -> None:
    """Print KID at a tenth of the steps and at the end, and precision and recall by truncation."""
    evaluator = Evaluator(Options(metrics=("kid", "precision", "recall"), use_cache=False, device="cpu"))
    real = from_arrays(to_pixels(Portraits(size=32).preview(COUNT)["b"]), "held-out drawings")
    for folder, truncation in ((tenth, 1.0), (run, 1.0), (run, 0.7), (run, 0.4)):
        loaded = i2i.load(folder, device="cpu")
        images = from_arrays(to_pixels(loaded.sample(COUNT, truncation=truncation)), f"step {loaded.step}")
        for figure in evaluator.evaluate(images, real).figures:
            print(f"step {loaded.step}, truncation {truncation:g}: {figure}", flush=True)


def layers(run: Path) -> None:
    """Print how far coarse and fine layers of another image move shape and colour, in standard deviations."""
    network = train_attribute_network(count=1500)
    accuracy = held_out_accuracy(network, 200)
    print("attribute network:", {name: round(value, 3) for name, value in accuracy.items()}, flush=True)
    loaded = i2i.load(run, device="cpu")
    number = loaded.translator.generator.num_ws
    coarse = list(coarse_layers(loaded))
    parts = {"coarse": coarse, "fine": [layer for layer in range(number) if layer not in coarse]}
    rows, columns = list(range(16)), list(range(100, 104))
    spread = {name: value.std() for name, value in network.measure(loaded.sample(COUNT)).items()}

    def moved(before: dict[str, Tensor], after: dict[str, Tensor], names: tuple[str, ...]) -> float:
        return float(torch.stack([((after[name] - before[name]) / spread[name]).abs().mean() for name in names]).mean())

    for part, chosen in parts.items():
        found = mix(loaded, rows, columns, chosen)
        before = network.measure(found.rows.repeat_interleave(len(columns), 0))
        after = network.measure(found.mixed.flatten(0, 1))
        shape, colour = moved(before, after, SHAPE), moved(before, after, COLOUR)
        print(f"{part} layers {chosen}: shape {shape:.3f}, colour {colour:.3f}", flush=True)


if __name__ == "__main__":
    layers(Path(sys.argv[1]))
    quality(Path(sys.argv[1]), Path(sys.argv[2]))
