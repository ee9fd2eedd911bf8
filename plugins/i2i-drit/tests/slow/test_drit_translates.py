"""Trains `drit_small` on generated shapes in ten minutes; `-s` prints the metrics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import i2i
from i2i.core.contracts import Batch
from i2i.core.hookspecs import hookimpl
from i2i.core.plugins import default_plugins
from i2i.demo.shapes import Shapes, measure, object_mask
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

HELD_OUT = 64
EVERY = 250


def measured(loaded: Loaded) -> dict[str, float]:
    """Return metrics of both directions on held-out shapes, of variety and references, and values of two losses."""
    options = loaded.recipe.data.options
    truth = Shapes(32, color_a=options["color_a"], color_b=options["color_b"]).pairs(HELD_OUT)
    metrics: dict[str, float] = {}
    for to, source, form in (("b", "a", "circle"), ("a", "b", "square")):
        shape = measure(loaded.translate(truth[source], to), truth[source], form, options[f"color_{to}"])  # type: ignore[arg-type]
        metrics |= {f"to {to} {name}": value for name, value in shape._asdict().items()}
    images = [loaded.translate(truth["a"], "b", style=number) for number in range(1, 7)]
    pairs = [(one - two).abs().mean() for i, one in enumerate(images) for two in images[:i]]
    metrics["variety"] = float(torch.stack(pairs).mean())
    references = truth["b"].roll(1, 0)  # of other objects, so that the colour cannot be copied
    expected = colours(references)
    translated = colours(loaded.translate(truth["a"], "b", style=references))
    metrics["colour error"] = float((translated - expected).abs().mean())
    metrics["colour error, shuffled"] = float((translated - expected.roll(7, 0)).abs().mean())
    translator: Any = loaded.translator
    outputs = translator.Outputs(translator, Batch(truth))
    outputs.start_phase("generator")
    with torch.no_grad():
        reconstructed = [(outputs.reconstruction[d] - outputs.real[d]).abs().mean() for d in "ab"]
    metrics["reconstruction"] = float(sum(reconstructed)) / 2
    translator.train()  # contents with noise, as the content discriminator is trained on them
    noisy = translator.Outputs(translator, Batch(truth))
    noisy.start_phase("content")
    with torch.no_grad():
        metrics["content adversary"] = float(translator.losses["content"].content(*contents(noisy))) / 2
    translator.eval()
    return metrics


def contents(outputs: Any) -> tuple[Tensor, Tensor]:
    """Return the content discriminator's logits for the contents of both domains."""
    return outputs.content_logits_a["content"], outputs.content_logits_b["content"]


def colours(image: Tensor) -> Tensor:
    """Return the mean colour of each object, [n, 3] in [-1, 1]."""
    weight = object_mask(image)[:, None].double()
    return (image.double() * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1)


class Measurements:
    """Metrics every few steps, printed and kept."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, float]] = []

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step % EVERY == 0 or run.step == run.steps:
            with run.stepper.eval_mode() as translator:
                self.metrics.append(measured(Loaded(run.recipe, translator, run.step)))
            print(run.step, {name: round(value, 3) for name, value in self.metrics[-1].items()}, flush=True)


@pytest.mark.slow
def test_drit_small_translates_in_the_colour_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_PLUGINS", "drit")
    default_plugins.cache_clear()
    measurements = Measurements()
    train(
        Recipe.read("drit_small", {"train.workers": 0, "train.sample_every": 0}),
        tmp_path / "run",
        extras=[measurements],
    )
    assert i2i.load(tmp_path / "run", device="cpu").step == len(measurements.metrics) * EVERY
    last = measurements.metrics[-1]
    assert last["to b shape"] > 0.7
    assert last["to b domain"] > 0.7
    assert last["to b centroid"] < 2
    assert last["to b iou"] > 0.5
    assert last["reconstruction"] < 0.12
    assert abs(last["content adversary"] - math.log(2)) < 0.2
    assert last["variety"] > 0.03
    assert last["colour error"] < last["colour error, shuffled"] / 2
