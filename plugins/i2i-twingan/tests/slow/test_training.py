"""Trains `twingan_small`: translations of generated shapes in both directions, and search across domains.

    python -m pytest -m slow plugins/i2i-twingan/tests/slow -s

Some minutes on one thread; prints metrics after every 250 steps.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

from i2i_twingan.search import encode, nearest

from i2i.data.loader import make_loader
from i2i.demo.shapes import ShapeMetrics, Shapes, measure
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

COUNT = 64
EVERY = 250


class Figures(NamedTuple):
    """Metrics of both directions, and accuracies of search among 64 latents.

    Args:
        to_b: metrics of translations to b.
        to_a: metrics of translations to a.
        pair: accuracy of finding the image of the same object in the other domain; the lower of both directions.
        own: accuracy of finding the source of a translation; the lower of both directions.
        l1: L1 error of reconstructions in [-1, 1].
    """

    to_b: ShapeMetrics
    to_a: ShapeMetrics
    pair: float
    own: float
    l1: float


def accuracy(queries: Tensor, among: Tensor) -> float:
    return float((nearest(queries, among, 1)[1].flatten() == torch.arange(len(queries))).double().mean())


@torch.no_grad()
def figures(stepper: Stepper, dataset: Shapes) -> Figures:
    truth = dataset.pairs(COUNT)
    with stepper.eval_mode() as evaluated:
        translator: Any = evaluated
        loaded = Loaded(stepper.recipe, translator, stepper.step_number)
        fakes = {"b": translator.translate(truth["a"], "b").image, "a": translator.translate(truth["b"], "a").image}
        latents = {domain: encode(loaded, truth[domain], domain) for domain in "ab"}
        fake_latents = {domain: encode(loaded, fakes[domain], domain) for domain in "ab"}
        reconstructions = translator.preview(truth)["reconstruction"]
    return Figures(
        measure(fakes["b"], truth["a"], "circle", dataset.colors["b"]),
        measure(fakes["a"], truth["b"], "square", dataset.colors["a"]),
        min(accuracy(latents["a"], latents["b"]), accuracy(latents["b"], latents["a"])),
        min(accuracy(fake_latents["b"], latents["a"]), accuracy(fake_latents["a"], latents["b"])),
        float(torch.stack([(reconstructions[domain] - truth[domain]).abs().mean() for domain in "ab"]).mean()),
    )


@pytest.mark.slow
def test_twingan_small_translates_and_finds_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = Recipe.read("twingan_small")
    stepper, dataset = Stepper(recipe), Shapes(recipe.image_size, seed=recipe.train.seed)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began, rows = time.monotonic(), []
    for step in range(1, recipe.train.steps + 1):
        stepper.step(next(batches))
        if step % EVERY == 0:
            rows.append(figures(stepper, dataset))
            with capsys.disabled():
                row = rows[-1]
                print(f"\n{step} {time.monotonic() - began:.0f} s pair {row.pair:.2f} own {row.own:.2f}", end=" ")
                print(f"l1 {row.l1:.3f}\n  {row.to_b}\n  {row.to_a}")
    torch.set_num_threads(threads)
    # Neither direction improves at every step, so the best row counts.
    best = max(rows, key=lambda row: min(row.to_b.domain, row.to_a.domain, row.pair, row.own))
    for metrics in (best.to_b, best.to_a):
        assert metrics.domain >= 0.75
        assert metrics.centroid <= 1
        assert metrics.iou >= 0.6
    assert best.pair >= 0.9
    assert best.own >= 0.9
