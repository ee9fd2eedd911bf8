"""SinCUT, small, on two drawn images alone: red squares on noise, and blue circles. Minutes.

    python -m pytest -m slow tests/slow/test_single_image_training.py -s

One thread; it prints a row of figures after every 150 steps, for the image it knows and for another one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from i2i.data.images import to_image
from i2i.data.loader import make_loader
from i2i.demo.shapes import Shapes, has_color, measure, object_mask
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

SIDE, TILE = 4, 32
STEPS = 600


class Figures(NamedTuple):
    """Over all objects of an image: shares with the colour of b and of a, with a circle's form; place as elsewhere."""

    blue: float
    red: float
    shape: float
    centroid: float
    iou: float


def image(tiles: Tensor) -> Tensor:
    """One image [3, H, W] of SIDE x SIDE tiles, each with an object; their backgrounds are alike."""
    rows = tiles.unflatten(0, (SIDE, SIDE))
    return rows.permute(2, 0, 3, 1, 4).reshape(3, SIDE * TILE, SIDE * TILE)


def tiles_of(image: Tensor) -> Tensor:
    """The tiles [n, 3, TILE, TILE] of an image again."""
    parts = image.unflatten(2, (SIDE, TILE)).unflatten(1, (SIDE, TILE))
    return parts.permute(1, 3, 0, 2, 4).reshape(SIDE * SIDE, 3, TILE, TILE)


@torch.no_grad()
def figures(stepper: Stepper, source: Tensor) -> Figures:
    """The translation of a whole image, object by object."""
    with stepper.eval_mode() as translator:
        made = tiles_of(translator.translate(image(source)[None], "b").image[0].clamp(-1, 1))
    found, mask = measure(made, source, "circle", "blue"), object_mask(made)
    blue, red = (float(has_color(made, mask, color).double().mean()) for color in ("blue", "red"))
    return Figures(blue, red, found.shape, found.centroid, found.iou)


@pytest.mark.slow
def test_two_images_are_enough_for_colour_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = Shapes(TILE).pairs(3 * SIDE * SIDE)
    known, hidden, other = truth["a"][: SIDE * SIDE], truth["a"][-SIDE * SIDE :], truth["b"][SIDE * SIDE : -SIDE * SIDE]
    assert torch.equal(tiles_of(image(known)), known)
    settings: dict[str, object] = {"train.steps": STEPS}
    for domain, tiles in (("a", known), ("b", other)):
        to_image(image(tiles)).save(tmp_path / f"{domain}.png")
        settings[f"data.{domain}"] = str(tmp_path / f"{domain}.png")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = Recipe.read("sincut_small", settings)
    stepper = Stepper(recipe)
    batches = iter(make_loader(recipe.data(seed=recipe.train.seed), batch_size=recipe.train.batch_size))
    began, rows = time.process_time(), []
    for step in range(1, STEPS + 1):
        stepper.step(next(batches))
        if step % 150 == 0:
            rows = [figures(stepper, known), figures(stepper, hidden)]
            with capsys.disabled():
                print(f"\n{step} {time.process_time() - began:.0f} s of CPU\n  known {rows[0]}\n  hidden {rows[1]}")
    torch.set_num_threads(threads)
    for found in rows:
        assert found.blue >= 0.9
        assert found.red <= 0.1
        assert found.centroid <= 1.5
        assert found.iou >= 0.7
