"""MUNIT and UNIT, small, from the shipped recipes: do they translate? Minutes each; `-m slow -s` prints the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import i2i
from i2i.demo.shapes import Shapes, measure, object_mask
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

HELD_OUT = 64


def figures(loaded: Loaded) -> dict[str, float]:
    """Both directions on held-out shapes; with styles also their variety and whether they follow a reference."""
    options = loaded.recipe.data.options
    truth = Shapes(32, color_a=options["color_a"], color_b=options["color_b"]).pairs(HELD_OUT)
    found: dict[str, float] = {}
    for to, source, form in (("b", "a", "circle"), ("a", "b", "square")):
        made = loaded.translate(truth[source], to)
        shape = measure(made, truth[source], form, options[f"color_{to}"])  # type: ignore[arg-type]
        found |= {f"to {to} {name}": value for name, value in shape._asdict().items()}
    if "style" in loaded.translator.conditions():
        made = [loaded.translate(truth["a"], "b", style=number) for number in range(1, 7)]  # type: ignore[assignment]
        pairs = [(one - two).abs().mean() for i, one in enumerate(made) for two in made[:i]]
        found["variety"] = float(torch.stack(pairs).mean())
        references = truth["b"].roll(1, 0)  # another object's colour, so that nothing can be copied from the place
        requires_condition = colours(loaded.translate(truth["a"], "b", style=references))
        wanted = colours(references)
        found["colour error"] = float((requires_condition - wanted).abs().mean())
        found["colour error, shuffled"] = float((requires_condition - wanted.roll(7, 0)).abs().mean())
    return found


def colours(image: Tensor) -> Tensor:
    """Mean colour of each object: [n, 3] in [-1, 1]."""
    weight = object_mask(image)[:, None].double()
    return (image.double() * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["munit_small", "unit_small"])
def test_it_translates(name: str, tmp_path: Path) -> None:
    train(Recipe.read(name, {"train.workers": 0, "train.sample_every": 0}), tmp_path / "run")
    found = figures(i2i.load(tmp_path / "run", device="cpu"))
    print(name, {key: round(value, 3) for key, value in found.items()})
    assert found["to b domain"] > 0.7
    assert found["to b shape"] > 0.7
    assert found["to b centroid"] < 2
    assert found["to b iou"] > 0.5
    assert found["to a domain"] > 0.7
    if "variety" in found:
        assert found["variety"] > 0.03
        assert found["colour error"] < found["colour error, shuffled"] / 2
