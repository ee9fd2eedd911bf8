"""Copies of weights in half precision: autocast's numbers, with fewer operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe

SIZES = {"data.type": "shapes", "data.size": 32, "data.paired": True, "train.precision": "bf16"}
CASES: dict[str, dict[str, Any]] = {
    "ugatit_light": {f"translator.{name}.channels": 4 for name in ("generator", "discriminators.local")}
    | {"translator.generator.blocks": 1, "translator.discriminators.global_.channels": 4}
    | {"translator.discriminators.global_.layers": 4},
    "cyclegan": {"translator.generator.channels": 4, "translator.generator.blocks": 1, "train.accumulate": 2},
    "pix2pix_small": {"translator.generator.channels": 4},
}


def trajectory(name: str, copies: bool) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    torch.manual_seed(0)
    settings = {**SIZES, **CASES[name], "train.weight_copies": copies}
    stepper = Stepper(Recipe.read(name, settings))
    draws, streams = torch.Generator().manual_seed(1), stepper.translator.required_streams
    terms = []
    for _ in range(4):
        batches = [
            {stream: torch.rand(1, 3, 32, 32, generator=draws) * 2 - 1 for stream in streams}
            for _ in range(stepper.batches_per_step)
        ]
        terms.append(stepper.step(*batches))
    if stepper.copies is not None:
        with stepper.copies.in_place("generator"):
            assert any(p.dtype == torch.bfloat16 for p in stepper.translator.parameters())
    return terms, dict(stepper.translator.state_dict())


@pytest.mark.parametrize(
    "name", [pytest.param("cyclegan", marks=pytest.mark.thorough), "pix2pix_small", "ugatit_light"]
)
def test_a_trajectory_is_the_same_bit_by_bit(name: str) -> None:
    (terms, state), (expected_terms, expected) = trajectory(name, True), trajectory(name, False)
    assert terms == expected_terms
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_copies_are_made_of_weights_in_products_alone() -> None:
    torch.manual_seed(0)
    stepper = Stepper(Recipe.read("ugatit_light", {**SIZES, **CASES["ugatit_light"], "train.weight_copies": True}))
    before = {name: p.dtype for name, p in stepper.translator.named_parameters()}
    stepper.step({domain: torch.zeros(1, 3, 32, 32) for domain in "ab"})
    assert stepper.copies is not None
    names = {id(p): name for name, p in stepper.translator.named_parameters()}
    with stepper.copies.in_place("generator"):
        copied = {name for name, p in stepper.translator.named_parameters() if p.dtype == torch.bfloat16}
    assert len(copied) == 38
    assert "generators.b.encoder.stem.conv.weight" in copied
    spectral = {name for name in copied if name.startswith("discriminators") and name.endswith("weight")}
    assert not spectral | {name for name in copied if "mix.weight" in name or "norm" in name}
    assert {name: p.dtype for name, p in stepper.translator.named_parameters()} == before
    assert names == {id(p): name for name, p in stepper.translator.named_parameters()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train.precision": "fp32"}, "train.weight_copies: needs train.precision = bf16 or fp16"),
        ({"train.compile": True}, "train.weight_copies: cannot be combined with train.compile = True"),
    ],
)
def test_what_copies_do_not_work_with(settings: dict[str, Any], message: str) -> None:
    recipe = Recipe.read("cyclegan", {**SIZES, **CASES["cyclegan"], "train.weight_copies": True, **settings})
    with pytest.raises(I2IError, match=message):
        Stepper(recipe)
