"""Parameters that a constructor freezes stay frozen in every method: no phase trains them, no optimizer holds them."""

from __future__ import annotations

import pytest
import torch

from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

RECIPES = {
    "ugatit_small": "generators.a",
    "pix2pix_small": "generator",
    "cut_small": "discriminators.b",
    "munit_small": "generators.b",
    "nicegan_small": "discriminators.a",
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", RECIPES)
def test_frozen_parameters_do_not_move(name: str) -> None:
    settings = {"data.size": 32, "train.batch_size": 1, "translator.generator.channels": 4}
    recipe = Recipe.read(name, settings)
    translator = build(recipe)
    parameters = list(translator.get_submodule(RECIPES[name]).parameters())
    frozen, trained = parameters[0].requires_grad_(False), parameters[-1]
    before = frozen.clone()
    stepper = Stepper(recipe, translator=translator)
    held = {
        id(p) for optimizer in stepper.optimizers.values() for group in optimizer.param_groups for p in group["params"]
    }
    assert id(frozen) not in held
    assert id(trained) in held
    random = torch.Generator().manual_seed(3)
    for _ in range(2):
        stepper.step({domain: torch.rand(1, 3, 32, 32, generator=random) * 2 - 1 for domain in "ab"})
    assert torch.equal(frozen, before)
    assert not frozen.requires_grad
