"""DA-GAN: the formulas, gradients of boxes, an unchanged outside, training, and mistakes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_dtn.boxes import attend, box_masks, union
from i2i_dtn.dagan import InstanceGenerator, MaskArea, Minimax
from official_figures import read, relative_error

import i2i
from i2i.methods.assembly import dry_run
from i2i.nn.losses.reconstruction import L1
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

TINY: dict[str, Any] = {
    "translator.generator.channels": 2,
    "translator.discriminators.set.channels": 2,
    "translator.discriminators.symmetry.channels": 2,
    "train.batch_size": 2,
    "train.steps": 2,
    "train.workers": 0,
}


@pytest.mark.golden
def test_formulas_are_those_of_the_loops() -> None:
    """Figures of independent loops, not of the authors, who published no code."""
    if not os.environ.get("I2I_GOLDEN"):
        pytest.skip("I2I_GOLDEN names no set of official figures")
    figures = read(Path(os.environ["I2I_GOLDEN"]) / "dagan", "formulas")
    image = figures.tensor("image")
    masks = box_masks(figures.tensor("box_cx_cy_w_h"), image.shape[2], image.shape[3], figures.config["steepness"])
    gan, logits = Minimax(), {name: figures.tensor(f"logits_{name}") for name in ("D1_t", "D1_F_s", "D2_F_t")}
    found = {
        "mask": masks,
        "attended": attend(image, masks),
        "consistency_l1": L1()(figures.tensor("codes_of_F_s"), figures.tensor("codes_of_s")),
        "symmetry_l1": L1()(figures.tensor("codes_of_F_t"), figures.tensor("codes_of_t")),
        "loss_D1": gan.discriminator(logits["D1_t"], logits["D1_F_s"]),
        "loss_D2": gan.discriminator(logits["D1_t"], logits["D2_F_t"]),
        "loss_generator_saturating_sum": gan.generator(logits["D1_F_s"]) + gan.generator(logits["D2_F_t"]),
    }
    for name, value in found.items():
        assert relative_error(value, figures[name]) <= 1e-10, name


def test_boxes_have_gradients_and_their_union_covers_each() -> None:
    boxes = torch.tensor([[[3.0, 4.0, 4.0, 2.0], [8.0, 8.0, 3.0, 3.0]]], requires_grad=True)
    masks = box_masks(boxes, 12, 12, 2.0)
    assert masks[0, 0, 4, 3] > 0.7
    assert masks[0, 0, 9, 9] < 1e-3
    assert (union(masks) >= masks - 1e-6).all()
    masks[0, 0, :, 6:].sum().backward()
    assert boxes.grad is not None
    assert boxes.grad[0, 0, 0] > 0  # a move to the right covers more of the right side
    assert boxes.grad[0, 1].abs().sum() == 0
    assert MaskArea(0.25).generator(torch.full((2, 1, 4, 4), 0.5)) == 1


def test_the_outside_of_the_boxes_is_that_of_the_input() -> None:
    torch.manual_seed(0)
    network = InstanceGenerator(1, channels=2, blocks=1)
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    translated, _, mask = network(image)
    assert mask is not None
    outside = (mask < 1e-6).expand_as(image)
    assert outside.any()
    assert torch.allclose(translated[outside], image[outside], atol=1e-5)
    assert not torch.allclose(translated, image, atol=1e-2)
    assert InstanceGenerator(2, channels=2, blocks=0)(torch.zeros(1, 3, 40, 24)).image.shape == (1, 3, 40, 24)


def test_recipes_check_and_train(tmp_path: Path) -> None:
    dry_run(Recipe.read("dagan", {"data.a": str(tmp_path), "data.b": str(tmp_path)} | TINY))
    i2i.train(Recipe.read("dagan_small", TINY), tmp_path / "run")
    loaded = i2i.load(tmp_path / "run", "cpu")
    result = loaded.run(torch.zeros(1, 3, 32, 32), "b")
    assert result.image.shape == (1, 3, 32, 32)
    assert result.heatmap is not None
    with pytest.raises(RecipeError, match="expected 0 < smallest < largest <= 1"):
        Recipe.read("dagan_small", {"translator.generator.largest": 0.1})
    with pytest.raises(i2i.I2IError, match="translates only to b"):
        loaded.run(torch.zeros(1, 3, 32, 32), "a")
