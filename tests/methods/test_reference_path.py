"""Steps on the optimized path have the losses of the reference path, whatever norms and random layers networks hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.builtin import COMPONENTS
from i2i.core import kinds
from i2i.engine.stepper import Stepper
from i2i.nn.generators.unet import Dropout
from i2i.nn.layers.independence import is_batch_independent
from i2i.nn.layers.stylegan2 import MinibatchDeviation, Noise
from i2i.recipe.recipe import Recipe

LATENT = {"channels": 4, "downsamplings": 2, "blocks": 1}
GENERATORS: dict[str, tuple[str, dict[str, Any], tuple[dict[str, Any], ...]]] = {
    "resnet": ("cyclegan", {"channels": 4, "blocks": 1}, ({}, {"dropout": 0.5})),
    "resnet_adalin": ("ugatit_small", {"channels": 4, "blocks": 1, "light": True}, ({},)),
    "stylegan2_resnet": ("cyclegan", {"channels": 4, "blocks": 1}, ({"noise": False}, {"noise": True})),
    "unet": ("cyclegan", {"channels": 4, "levels": 5}, ({"dropout": 0.0}, {"dropout": 0.5})),
    "shared_latent": ("unit", LATENT, ({},)),
    "content_style": ("munit", {**LATENT, "mlp_channels": 8}, ({},)),
}
"""The recipe whose method takes a generator, its smallest options, and its settings of what is drawn."""
SMALL = {"data.type": "shapes", "data.size": 32, "train.batch_size": 2, "train.steps": 1, "train.precision": "fp64"}


def test_every_generator_is_here() -> None:
    assert set(GENERATORS) | {"label_concat"} == set(COMPONENTS[kinds.GENERATOR])  # it puts labels in front of another


def settings() -> Iterator[Any]:
    """Every generator, norm and setting of what is drawn; the quick ones are those of cyclic with two norms."""
    for generator, (recipe, smallest, draws) in GENERATORS.items():
        norms = [None] if generator == "stylegan2_resnet" else list(COMPONENTS[kinds.NORM])
        for norm in norms:
            options = {} if norm is None else {"norm": {"type": norm, **({"groups": 4} if norm == "gn" else {})}}
            for drawn in draws:
                quick = recipe == "cyclegan" and norm in (None, "in", "bn")
                values = {"type": generator, **smallest, **options, **drawn}
                label = "-".join([generator, norm or "", *(f"{k}={v}" for k, v in drawn.items())])
                yield pytest.param(recipe, values, id=label, marks=() if quick else pytest.mark.slow)


def losses(recipe: str, generator: dict[str, Any], reference: bool) -> dict[str, float]:
    small = {
        **{f"translator.discriminators.{name}": "none" for name in discriminators_of(recipe)},
        "translator.discriminators.patch": {"type": "patch", "channels": 4, "layers": 3},
    }
    stepper = Stepper(
        Recipe.read(recipe, {**SMALL, **small, "translator.generator": generator, "train.reference": reference})
    )
    for module in stepper.translator.modules():
        if isinstance(module, Noise):
            nn.init.ones_(module.weight)  # it starts at 0, where noise changes nothing
    images = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    return {
        name: float(value)
        for name, value in stepper.step(
            {domain: torch.rand(2, 3, 32, 32, generator=images) * 2 - 1 for domain in "ab"}
        ).items()
    }


def discriminators_of(recipe: str) -> list[str]:
    return list(Recipe.read(recipe).source.values["translator"]["discriminators"])


@pytest.mark.parametrize(("recipe", "generator"), list(settings()))
def test_losses_are_those_of_the_reference_path(recipe: str, generator: dict[str, Any]) -> None:
    optimized, reference = losses(recipe, generator, False), losses(recipe, generator, True)
    assert optimized == pytest.approx(reference, rel=1e-10)


class Declared(nn.Module):
    """A plugin's layer that draws."""

    draws_random_numbers = True

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


@pytest.mark.parametrize(
    ("layer", "training", "evaluation"),
    [
        (nn.Conv2d(3, 3, 1), True, True),
        (nn.InstanceNorm2d(3), True, True),
        (nn.BatchNorm2d(3), False, True),
        (nn.Dropout2d(), False, True),
        (nn.RReLU(), False, True),
        (nn.TransformerEncoderLayer(4, 1), False, True),
        (Noise(), False, True),
        (Dropout(0.5), False, True),
        (Dropout(0.5, at_inference=True), False, False),
        (MinibatchDeviation(), False, False),
        (Declared(), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_which_networks_are_independent_of_their_batch(layer: nn.Module, training: bool, evaluation: bool) -> None:
    network = nn.Sequential(nn.Identity(), layer)
    assert is_batch_independent(network.train()) == training
    assert is_batch_independent(network.eval()) == evaluation
