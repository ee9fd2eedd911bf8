"""Small recipes learn to translate drawn shapes: form and colour change, the place does not. Minutes each.

    python -m pytest -m slow tests/slow/test_shapes_training.py -s

One thread; each test prints its row of figures after every 250 steps, and how well the attention finds the object.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.data.loader import make_loader
from i2i.demo.shapes import HeatmapMetrics, ShapeMetrics, Shapes, measure, measure_heatmap
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

COUNT = 64
SHAPES = {"data.type": "shapes", "data.size": 32, "train.batch_size": 4, "schedule.type": "constant"}
RUNS: dict[str, tuple[str, dict[str, Any], int]] = {
    "cyclegan": ("cyclegan_small", {}, 1000),
    "nicegan": ("nicegan_small", {}, 1000),
    "ugatit": ("ugatit_small", {**SHAPES, "translator.generator.blocks": 4}, 1000),
}


@torch.no_grad()
def figures(stepper: Stepper, dataset: Shapes) -> tuple[ShapeMetrics, ShapeMetrics, float]:
    """Both directions on held-out objects, and the mean absolute difference of a after its way there and back."""
    truth = dataset.pairs(COUNT)
    with stepper.eval_mode() as translator:
        there: Tensor = translator.translate(truth["a"], "b").image
        other_way = translator.translate(truth["b"], "a").image
        back = translator.translate(there, "a").image
    return (
        measure(there, truth["a"], "circle", dataset.colors["b"]),
        measure(other_way, truth["b"], "square", dataset.colors["a"]),
        float((back - truth["a"]).abs().mean()),
    )


@torch.no_grad()
def heat(stepper: Stepper, dataset: Shapes) -> tuple[HeatmapMetrics, ...]:
    """Where the generators' attention looks, by direction; nothing where there is none."""
    truth = dataset.pairs(COUNT)
    with stepper.eval_mode() as translator:
        maps = {domain: translator.translate(truth[domain], to).heatmap for domain, to in (("a", "b"), ("b", "a"))}
    return tuple(measure_heatmap(found, truth[domain]) for domain, found in maps.items() if found is not None)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_translates(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe_name, settings, steps = RUNS[name]
    recipe = Recipe.read(recipe_name, {**settings, "train.steps": steps})
    stepper, dataset = Stepper(recipe), Shapes(recipe.image_size, seed=recipe.train.seed)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began, rows = time.monotonic(), []
    for step in range(1, steps + 1):
        stepper.step(next(batches))
        if step % 250 == 0:
            rows.append(figures(stepper, dataset))
            with capsys.disabled():
                a_to_b, b_to_a, cycle = rows[-1]
                print(f"\n{name} {step} {time.monotonic() - began:.0f} s cycle {cycle:.3f}\n  {a_to_b}\n  {b_to_a}")
                print("".join(f"  {found}\n" for found in heat(stepper, dataset)), end="")
    torch.set_num_threads(threads)
    # One direction often lags; neither gets better at every step, so the best of the run counts.
    a_to_b, b_to_a, cycle = max(rows, key=lambda row: row[0].domain + row[1].domain + row[0].iou + row[1].iou)
    # Corners are harder than curves: squares come later than circles.
    for found, least in ((a_to_b, 0.85), (b_to_a, 0.7)):
        assert found.domain >= least
        assert found.shape >= least
        assert found.centroid <= 1
        assert found.iou >= 0.65
    assert cycle <= 0.15
    if name == "ugatit":
        for found in heat(stepper, dataset):
            assert found.iou >= 0.3
            assert found.inside >= 1.5 * found.outside
