"""The small recipe on drawn shapes: does it translate, in a reference's colour? Minutes; `-m slow -s` prints all."""

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
from i2i.demo.measures import measure, object_mask
from i2i.demo.shapes import Shapes
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

HELD_OUT = 64
LOOKS = 250


def figures(loaded: Loaded) -> dict[str, float]:
    """Both directions on held-out shapes; variety; whether references are followed; and how the losses stand."""
    options = loaded.recipe.data.options
    truth = Shapes(32, color_a=options["color_a"], color_b=options["color_b"]).pairs(HELD_OUT)
    found: dict[str, float] = {}
    for to, source, form in (("b", "a", "circle"), ("a", "b", "square")):
        shape = measure(loaded.translate(truth[source], to), truth[source], form, options[f"color_{to}"])  # type: ignore[arg-type]
        found |= {f"to {to} {name}": value for name, value in shape._asdict().items()}
    made = [loaded.translate(truth["a"], "b", style=number) for number in range(1, 7)]
    pairs = [(one - two).abs().mean() for i, one in enumerate(made) for two in made[:i]]
    found["variety"] = float(torch.stack(pairs).mean())
    references = truth["b"].roll(1, 0)  # another object's colour, so that nothing can be copied from the place
    wanted = colours(references)
    requires_condition = colours(loaded.translate(truth["a"], "b", style=references))
    found["colour error"] = float((requires_condition - wanted).abs().mean())
    found["colour error, shuffled"] = float((requires_condition - wanted.roll(7, 0)).abs().mean())
    translator: Any = loaded.translator
    outputs = translator.Outputs(translator, Batch(truth))
    outputs.enter("generator")
    with torch.no_grad():
        reconstructed = [(outputs.reconstruction[d] - outputs.real[d]).abs().mean() for d in "ab"]
    found["reconstruction"] = float(sum(reconstructed)) / 2
    translator.train()  # contents with noise, as the content discriminator knows them
    noisy = translator.Outputs(translator, Batch(truth))
    noisy.enter("content")
    with torch.no_grad():
        found["content adversary"] = float(translator.losses["content"].content(*contents(noisy))) / 2
    translator.eval()
    return found


def contents(outputs: Any) -> tuple[Tensor, Tensor]:
    """The content discriminator on both domains' contents."""
    return outputs.content_logits_a["content"], outputs.content_logits_b["content"]


def colours(image: Tensor) -> Tensor:
    """Mean colour of each object: [n, 3] in [-1, 1]."""
    weight = object_mask(image)[:, None].double()
    return (image.double() * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1)


class Looks:
    """Figures now and then: neither direction gets better at every step."""

    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step % LOOKS == 0 or run.step == run.steps:
            with run.stepper.eval_mode() as translator:
                self.found.append(figures(Loaded(run.recipe, translator, run.step)))
            print(run.step, {name: round(value, 3) for name, value in self.found[-1].items()}, flush=True)


@pytest.mark.slow
def test_it_translates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_PLUGINS", "drit")
    default_plugins.cache_clear()
    looks = Looks()
    train(Recipe.read("drit_small", {"train.workers": 0, "train.sample_every": 0}), tmp_path / "run", extras=[looks])
    assert i2i.load(tmp_path / "run", device="cpu").step == len(looks.found) * LOOKS
    last = looks.found[-1]
    assert last["to b shape"] > 0.7
    assert last["to b domain"] > 0.7
    assert last["to b centroid"] < 2
    assert last["to b iou"] > 0.5
    assert last["reconstruction"] < 0.12
    assert abs(last["content adversary"] - math.log(2)) < 0.2
    assert last["variety"] > 0.03
    assert last["colour error"] < last["colour error, shuffled"] / 2
