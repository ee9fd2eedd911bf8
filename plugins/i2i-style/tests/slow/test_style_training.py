"""The small style recipes, trained: is the style another one's, and is the content still there? Minutes each.

    python -m pytest -m slow plugins/i2i-style/tests/slow/test_style_training.py -s

One thread; each test prints its figures after every 200 steps. Two sides: `style` and `colour` say how near the style
is, `edges` how much of the content is left. Copying the content has 1, the colour's own distance, and 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from i2i_style.textures import Textures
from torch import Tensor

from i2i.data.loader import make_loader
from i2i.engine.stepper import Stepper
from i2i.nn.functional.gram import gram
from i2i.recipe.recipe import Recipe

COUNT = 32
HELD_OUT = range(2**59, 2**59 + COUNT)
Figures = dict[str, float]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def edges(image: Tensor) -> Tensor:
    """How steep each image is at each pixel: [n, pixels]."""
    grey = image.mean(1)
    return ((grey[:, 1:, 1:] - grey[:, :-1, 1:]).abs() + (grey[:, 1:, 1:] - grey[:, 1:, :-1]).abs()).flatten(1)


def alike(one: Tensor, other: Tensor) -> float:
    """Mean correlation of rows."""
    pairs = zip(one, other, strict=True)
    return float(torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean())


def colour(one: Tensor, other: Tensor) -> float:
    """Mean absolute distance of mean colours."""
    return float((one.mean((2, 3)) - other.mean((2, 3))).abs().mean())


def trained(name: str, look: Callable[[Stepper, Textures], Figures]) -> Figures:
    """The figures after the recipe's last step."""
    recipe = Recipe.read(name)
    stepper, dataset = Stepper(recipe), recipe.data(seed=recipe.train.seed)
    assert isinstance(dataset, Textures)
    batches = iter(make_loader(dataset, batch_size=recipe.train.batch_size))
    began, found = time.process_time(), {}
    for step in range(1, recipe.train.steps + 1):
        stepper.step(next(batches))
        if step % 200 == 0 or step == recipe.train.steps:
            found = look(stepper, dataset)
            shown = "  ".join(f"{key} {value:.3f}" for key, value in found.items())
            print(f"\n{name} {step} {time.process_time() - began:.0f} s  {shown}", flush=True)
    return found


@torch.no_grad()
def look_at_adain(stepper: Stepper, dataset: Textures) -> Figures:
    content, style = dataset.scenes(HELD_OUT), dataset.textures(HELD_OUT)
    with stepper.eval_mode() as translator:
        any_style: Any = translator.translate
        made, half, plain = (any_style(content, "b", style, alpha=alpha).image for alpha in (1.0, 0.5, 0.0))
    distance: Any = stepper.translator.losses["style"]
    return {
        "style": float(distance(made, style) / distance(content, style)),
        "style, alpha 0.5": float(distance(half, style) / distance(content, style)),
        "colour": colour(made, style),
        "colour of the content": colour(content, style),
        "edges": alike(edges(made), edges(content)),
        "edges of another": alike(edges(made), edges(content.roll(1, 0))),
        "alpha 0": alike(plain.flatten(1), content.flatten(1)),
        "alpha 0, L1": float((plain - content).abs().mean()),
    }


@pytest.mark.slow
def test_adain_gives_a_style_that_it_has_never_seen() -> None:
    found = trained("adain_style_small", look_at_adain)
    assert found["style"] < 0.5
    assert found["style"] < found["style, alpha 0.5"] < 1
    assert found["colour"] < 0.6 * found["colour of the content"]
    assert found["edges"] > 0.3
    assert found["edges of another"] < 0.15
    assert found["alpha 0"] > 0.75
    assert found["alpha 0, L1"] < 0.25


@torch.no_grad()
def look_at_fast(stepper: Stepper, dataset: Textures) -> Figures:
    content, styles = dataset.scenes(HELD_OUT), dataset.textures(range(dataset.styles))
    with stepper.eval_mode() as translator:
        any_style: Any = translator.translate
        made = [any_style(content, "b", number).image for number in range(dataset.styles)]
        mixed = any_style(content, "b", blend={0: 1, 1: 1}).image
    loss: Any = stepper.translator.losses["style"]
    grams = [gram(features) for features in loss.features(styles)]
    found: Figures = {}
    right, errors, copied = [], [], []
    for number, images in enumerate(made):
        per_tap = [
            (gram(features)[:, None] - goal[None]).square().mean((2, 3)) / goal.square().mean((1, 2))
            for features, goal in zip(loss.features(images), grams, strict=True)
        ]
        distances = torch.stack(per_tap).sum(0)  # [n, styles]
        right.append((distances.argmin(1) == number).float().mean())
        errors.append(distances[:, number].mean())
        copied.append(loss(content, styles[number : number + 1]))
    found["right style"] = float(torch.stack(right).mean())
    found["Gram error"] = float(torch.stack(errors).mean())
    found["Gram error of the content"] = float(torch.stack(copied).mean())
    found["colour"] = sum(colour(one, goal[None]) for one, goal in zip(made, styles, strict=True)) / len(made)
    found["colour of the content"] = sum(colour(content, goal[None]) for goal in styles) / len(made)
    found["edges"] = sum(alike(edges(one), edges(content)) for one in made) / len(made)
    first, second, between = (image.mean((2, 3)) for image in (made[0], made[1], mixed))
    found["blend off the middle"] = float((between - (first + second) / 2).norm() / (first - second).norm())
    return found


@pytest.mark.slow
def test_fast_style_has_four_styles_and_what_lies_between() -> None:
    found = trained("fast_style_small", look_at_fast)
    assert found["right style"] > 0.95
    assert found["Gram error"] < found["Gram error of the content"] / 4
    assert found["colour"] < found["colour of the content"] / 2
    assert found["edges"] > 0.25
    assert found["blend off the middle"] < 0.3
