"""Steps with shortcuts are the steps without them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.nn.functional.optimizations import assume_device
from i2i.recipe.recipe import Recipe

SMALL = {"data.type": "shapes", "data.size": 32, "train.batch_size": 2, "train.steps": 3, "train.precision": "fp64"}
PLAIN_GAN = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.local.channels": 4,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ugatit": (
        "ugatit_small",
        {
            **PLAIN_GAN,
            "translator.discriminators.global_.channels": 4,
            "translator.discriminators.global_.layers": 5,
            "train.ema": "none",
        },
    ),
    "cyclegan": ("cyclegan", {**PLAIN_GAN, "translator.pool": 2}),
    "cut": ("cut_small", {**PLAIN_GAN, "translator.generator.blocks": 4}),
    "munit": (
        "munit_small",
        {"translator.generator.channels": 4, "translator.discriminators.multiscale.channels": 4},
    ),
}


def trajectory(name: str, settings: dict[str, Any]) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], Stepper]:
    stepper = Stepper(Recipe.read(name, {**settings, **SMALL}))
    draws = torch.Generator().manual_seed(1)
    terms = [
        stepper.step({domain: torch.rand(2, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}) for _ in range(3)
    ]
    return terms, {name: value.clone() for name, value in stepper.translator.state_dict().items()}, stepper


@pytest.mark.thorough
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_mathematics(case: str, device: str) -> None:
    name, settings = CASES[case]
    start = Stepper(Recipe.read(name, {**settings, **SMALL})).translator.state_dict()
    with assume_device(device):
        fast, fast_end, stepper = trajectory(name, settings)
    plain, plain_end, _ = trajectory(name, {**settings, "train.reference": True})
    for one, other in zip(fast, plain, strict=True):
        assert one.keys() == other.keys()
        for term in one:
            assert float(one[term]) == pytest.approx(float(other[term]), rel=1e-10), term
    # A bias before a norm has no gradient but rounding noise, which Adam makes into steps of full length.
    idle = {name for name, value in stepper.translator.named_parameters() if name.endswith("bias")}
    names = [name for name, value in start.items() if value.is_floating_point() and name not in idle]
    moved = sum(float((plain_end[name] - start[name]).square().sum()) for name in names) ** 0.5
    apart = sum(float((plain_end[name] - fast_end[name]).square().sum()) for name in names) ** 0.5
    assert moved > 0
    assert apart < 1e-6 * moved


def test_a_discriminator_is_called_once_for_real_and_fake() -> None:
    name, settings = CASES["ugatit"]
    for plain, expected in ((False, [4, 2]), (True, [2, 2, 2])):
        stepper = Stepper(Recipe.read(name, {**settings, **SMALL, "train.reference": plain}))
        seen: list[int] = []
        discriminate = stepper.translator.get_submodule("discriminators.a.local")
        discriminate.register_forward_hook(lambda _, given, __, seen=seen: seen.append(len(given[0])))
        stepper.step({domain: torch.rand(2, 3, 32, 32) for domain in "ab"})
        assert seen == expected
