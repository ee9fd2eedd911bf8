"""Small recipes that paint one domain alone, on drawn shapes. Minutes each.

    python -m pytest -m slow tests/slow/test_one_way_training.py -s

One thread; each test prints its row of figures after every 250 steps.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from i2i.data.loader import make_loader
from i2i.demo.shapes import ShapeMetrics, Shapes, measure
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

COUNT = 64
RUNS: dict[str, tuple[dict[str, Any], int]] = {
    "pix2pix_small": ({"data.type": "shapes", "data.paired": True, "data.size": 32}, 750),
    # Later it falls back towards copies: the patches of a square are nearest to those of a square.
    "cut_small": ({"data.type": "shapes", "data.size": 32}, 500),
}


@torch.no_grad()
def figures(stepper: Stepper, dataset: Shapes) -> ShapeMetrics:
    """a to b on held-out objects."""
    truth = dataset.pairs(COUNT)
    with stepper.eval_mode() as translator:
        made = torch.cat([translator.translate(image, "b").image for image in truth["a"].split(1)])
    return measure(made, truth["a"], "circle", dataset.colors["b"])


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_translates(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    settings, steps = RUNS[name]
    recipe = Recipe.read(name, {**settings, "train.steps": steps})
    stepper, dataset = Stepper(recipe), recipe.data(seed=recipe.train.seed)
    assert isinstance(dataset, Shapes)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began, rows = time.process_time(), []
    for step in range(1, steps + 1):
        stepper.step(next(batches))
        if step % 250 == 0:
            rows.append(figures(stepper, dataset))
            with capsys.disabled():
                print(f"\n{name} {step} {time.process_time() - began:.0f} s of CPU\n  {rows[-1]}")
    torch.set_num_threads(threads)
    best = max(rows, key=lambda row: row.domain + row.iou)
    assert best.domain >= 0.8
    assert best.shape >= 0.8
    assert best.centroid <= 1
    assert best.iou >= 0.65
