"""Phases that share an optimizer: each moves its own networks alone, and a loss may play in one as in the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from i2i.core import kinds
from i2i.core.contracts import Phase
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.engine.stepper import Stepper
from i2i.methods.outputs import Outputs, detached, output
from i2i.methods.translator import Translator
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError, Source


class TwiceOutputs(Outputs):
    """What an encoder and a decoder make of a's images."""

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Kept through the step."""
        return {"b": self.translator.get_submodule("decoder")(self.translator.get_submodule("encoder")(self.real["a"]))}

    @output(reuse="phase")
    def logits(self) -> dict[str, Tensor]:
        """Of the fake."""
        images = detached(self.fake) if self.trains("discriminator") else self.fake
        return {"b": self.translator.get_submodule("discriminator")(images["b"])}


class Twice(Translator):
    """Trains both parts, then the decoder again with the same optimizer."""

    Outputs: ClassVar[type[Outputs]] = TwiceOutputs
    phases: Mapping[str, Phase] = {
        "discriminator": Phase(("discriminator",)),
        "generator": Phase(("encoder", "decoder")),
        "again": Phase(("decoder",), optimizer="generator", alias="generator"),
    }
    generator_modules: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1), nn.Conv2d(3, 1, 1)


class Fool(nn.Module):
    """Has no method `again`."""

    def discriminator(self, logits: Tensor) -> Tensor:
        return logits.square().mean()

    def generator(self, logits: Tensor) -> Tensor:
        return (logits - 1).square().mean()


class Own(Fool):
    """Has one."""

    def again(self, fake: Tensor) -> Tensor:
        return fake.square().mean()


@pytest.fixture
def registry() -> Registry:
    registry = Plugins({}).registry
    registry.add(kinds.TRANSLATOR, "twice", Twice)
    registry.add(kinds.LOSS, "fool", Fool)
    registry.add(kinds.LOSS, "own", Own)
    return registry


def recipe(registry: Registry, **losses: object) -> Recipe:
    values = {
        "translator": {"type": "twice"},
        "losses": losses,
        "optimizers": {"discriminator": "sgd", "generator": {"type": "sgd", "lr": 0.1}},
        "data": {"type": "shapes", "size": 16},
        "train": {"steps": 1},
    }
    return Recipe.check(Source("test", values), registry)


def test_a_loss_plays_in_a_phase_as_in_another(registry: Registry) -> None:
    plans = recipe(registry, fool="fool", own={"type": "own", "weight": {"again": 3}}).losses
    played = {
        name: {call.phase: (call.method, call.weight.factor) for call in plan.calls} for name, plan in plans.items()
    }
    both = {"discriminator": ("discriminator", 1.0), "generator": ("generator", 1.0)}
    assert played["fool"] == both | {"again": ("generator", 1.0)}
    assert played["own"] == both | {"again": ("again", 3)}


def test_a_phase_of_another_ones_optimizer_may_have_no_loss(registry: Registry) -> None:
    """Such a phase is skipped; one with an optimizer of its own would train nothing."""
    plans = recipe(registry, fool={"type": "fool", "weight": {"again": 0}}).losses
    assert {call.phase for call in plans["fool"].calls} == {"discriminator", "generator"}
    with pytest.raises(RecipeError, match="no loss plays in the phase 'discriminator'"):
        recipe(registry, fool={"type": "fool", "weight": {"discriminator": 0}})


def test_a_phase_moves_none_but_its_own_networks(registry: Registry) -> None:
    stepper = Stepper(recipe(registry, fool="fool"))
    start = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
    moved: list[set[str]] = []
    optimizer = stepper.optimizers["generator"]
    before = optimizer.step

    def step(*args: object, **more: object) -> object:
        moved.append({name for name, p in stepper.translator.named_parameters() if p.grad is not None})
        return before(*args, **more)

    optimizer.step = step  # type: ignore[method-assign]
    terms = stepper.step({domain: torch.rand(1, 3, 16, 16) for domain in "ab"})
    both = {f"{part}.{kind}" for part in ("encoder", "decoder") for kind in ("weight", "bias")}
    assert moved == [both, {"decoder.weight", "decoder.bias"}]
    assert terms["again/fool"] < terms["generator/fool"]  # the second phase sees what the first has learnt
    assert set(stepper.optimizers) == {"discriminator", "generator"}
    assert all(not torch.equal(value, start[name]) for name, value in stepper.translator.state_dict().items())
