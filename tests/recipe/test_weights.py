"""Weights of losses: for all, for each phase, for each domain, and `only`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.core.contracts import Batch
from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.recipe.wiring import LossWeight, WeightSchedule

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ["data.size=16", "train.precision=fp64", "translator.generator.blocks=1", "translator.generator.channels=4"]
SMALL += ["translator.discriminators.local.layers=3", "translator.discriminators.local.channels=4"]


def read(*settings: str) -> Recipe:
    return Recipe.read(RECIPES / "cyclegan.toml", [*SMALL, *settings])


def refused(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        call()
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


def weights(recipe: Recipe, loss: str) -> dict[str, LossWeight]:
    return {call.phase: call.weight for call in recipe.losses[loss].calls}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["losses.gan.weight=2"], {"generator": LossWeight(2), "discriminator": LossWeight(2)}),
        (["losses.gan.weight={ generator = 2 }"], {"generator": LossWeight(2), "discriminator": LossWeight(0.5)}),
        (["losses.gan.weight.generator=0"], {"discriminator": LossWeight(0.5)}),
        (
            ["losses.gan.weight={ a = 3 }"],
            {"generator": LossWeight(1, {"a": 3, "b": 1}), "discriminator": LossWeight(0.5, {"a": 3, "b": 1})},
        ),
        (["losses.gan.only=b"], {"generator": LossWeight(1, {"b": 1}), "discriminator": LossWeight(0.5, {"b": 1})}),
    ],
)
def test_weights_of_phases(settings: list[str], expected: dict[str, LossWeight]) -> None:
    assert weights(read(*settings), "gan") == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"weight": {"a": 10, "b": 5}}, {"generator": LossWeight(1, {"a": 10, "b": 5})}),
        ({"weight": {"a": 10}}, {"generator": LossWeight(1, {"a": 10, "b": 1})}),
        ({"weight": {"a": 10, "b": 0}}, {"generator": LossWeight(1, {"a": 10})}),
        ({"weight": {"a": 0, "b": 0}}, {}),
        ({"weight": 3, "only": "b"}, {"generator": LossWeight(3, {"b": 1})}),
        ({"weight": 3, "only": ["a", "b"]}, {"generator": LossWeight(3, {"a": 1, "b": 1})}),
        ({"weight": {"b": 3}, "only": "b"}, {"generator": LossWeight(1, {"b": 3})}),
        ({"weight": {"generator": 3}, "only": "b"}, {"generator": LossWeight(3, {"b": 1})}),
        ({"weight": 0, "only": "b"}, {}),
    ],
)
def test_weights_of_domains(settings: dict[str, Any], expected: dict[str, LossWeight]) -> None:
    loss = {"type": "l1", "inputs": {"prediction": "cycle", "target": "real"}, **settings}
    recipe = Recipe.read(RECIPES / "cyclegan.toml", {"losses.extra": loss})
    assert weights(recipe, "extra") == expected
    again = Recipe.read(RECIPES / "cyclegan.toml", {"losses": recipe.resolved()["losses"]})
    assert weights(again, "extra") == expected


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("only=c", "only: no domain 'c'. Domains: a, b"),
        ("only=['a', 'c']", "only: no domain 'c'. Domains: a, b"),
        (
            "weight={ c = 1 }",
            "weight.c: the loss has no phase and no domain 'c'. Its phases: discriminator, generator; domains: a, b",
        ),
        (
            "weight={ genrator = 1 }",
            "weight.genrator: the loss has no phase and no domain 'genrator'. Did you mean 'generator'? "
            "Its phases: discriminator, generator; domains: a, b",
        ),
    ],
)
def test_what_is_wrong_is_reported(setting: str, problem: str) -> None:
    assert refused(lambda: read(f"losses.gan.{setting}")) == [f"losses.gan.{problem}"]


def test_a_weight_of_a_domain_that_only_excludes_is_reported() -> None:
    settings = {"losses.cycle.only": "b", "losses.cycle.weight": {"a": 2}}
    with pytest.raises(RecipeError, match=r"losses.cycle.weight.a: the loss is computed only for b"):
        Recipe.read(RECIPES / "cyclegan.toml", settings)


def test_domains_that_the_inputs_do_not_have_are_found_by_the_dry_run() -> None:
    recipe = Recipe.read("cut", ["losses.nce.only=a"])
    (problem,) = refused(lambda: dry_run(recipe))
    assert problem == "losses.nce: its inputs have the domains b, got only = a"


def terms(recipe: Recipe) -> dict[str, float]:
    translator = build(recipe).double()
    generator = torch.Generator().manual_seed(0)
    streams = {domain: torch.rand(1, 3, 16, 16, generator=generator, dtype=torch.float64) * 2 - 1 for domain in "ab"}
    return {
        f"{phase}/{name}": term.item()
        for phase in translator.phases
        for name, term in translator(Batch(streams), phase).items()
    }


def test_each_domain_has_its_weight_and_its_gradient() -> None:
    plain = terms(read("losses.cycle.weight=1"))
    only_a, only_b = (terms(read("losses.cycle.weight=1", f"losses.cycle.only={domain}")) for domain in "ab")
    assert only_a["generator/cycle"] + only_b["generator/cycle"] == pytest.approx(plain["generator/cycle"], rel=1e-14)
    both = terms(
        read(
            "losses.cycle.weight=0",
            "losses.both={ type = 'l1', weight = { a = 10, b = 5 }, "
            "inputs = { prediction = 'cycle', target = 'real' } }",
        )
    )
    expected = 10 * only_a["generator/cycle"] + 5 * only_b["generator/cycle"]
    assert both["generator/both"] == pytest.approx(expected, rel=1e-14)


def test_discriminators_of_one_domain() -> None:
    plain = terms(read())
    parts = [terms(read(f"losses.gan.only={domain}")) for domain in "ab"]
    for phase in ("generator", "discriminator"):
        summed = sum(part[f"{phase}/gan"] for part in parts)
        assert summed == pytest.approx(plain[f"{phase}/gan"], rel=1e-14)


FALLING = {"from": 2, "to": 0, "over": 4}


def test_a_schedule_is_linear_and_the_loss_is_skipped_at_weight_0() -> None:
    recipe = read("losses.cycle.weight={ from = 2, to = 0, over = 4 }")
    assert weights(recipe, "cycle") == {"generator": LossWeight(WeightSchedule(2, 0, 4))}
    translator = build(recipe).double()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = []
    for step in range(5):
        batch = Batch({"a": images[:1], "b": images[1:]}, step=step)
        value = sum(translator.loss_values(batch, "generator").get("cycle", {"": 0.0}).values())
        batch.outputs = None
        terms.append((translator(batch, "generator").get("cycle"), value))
    assert [round(float(term / value), 12) for term, value in terms[:4]] == [2, 1.5, 1, 0.5]
    assert terms[4] == (None, 0.0)


def test_a_schedule_of_one_domain_leaves_the_other_domain_alone() -> None:
    recipe = read("losses.cycle.weight={ a = { from = 0, to = 3, over = 2 }, b = 5 }")
    weight = weights(recipe, "cycle")["generator"]
    assert [weight.at(step) for step in (0, 1, 9)] == [
        LossWeight(1, {"b": 5}),
        LossWeight(1, {"a": 1.5, "b": 5}),
        LossWeight(1, {"a": 3, "b": 5}),
    ]
    dry_run(recipe)


@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        (
            "{ from = 1, to = 0 }",
            "weight: expected a schedule { from = 1, to = 0, over = 1000 }, got the keys from, to",
        ),
        ("{ from = 1, to = 0, over = 0 }", "weight.over: expected a number of steps from 1 on, got 0"),
        ("{ from = 1, to = 0, over = 1.5 }", "weight.over: expected a number of steps from 1 on, got 1.5"),
        (
            "{ generator = { from = 1 } }",
            "weight.generator: expected a schedule { from = 1, to = 0, over = 1000 }, got the keys from",
        ),
    ],
)
def test_a_schedule_that_is_none_is_reported(weight: str, problem: str) -> None:
    assert refused(lambda: read(f"losses.gan.weight={weight}"))[0] == f"losses.gan.{problem}"


def test_schedules_are_shown_with_where_the_run_ends() -> None:
    recipe = read("losses.cycle.weight={ from = 1, to = 0, over = 200 }", "train.steps=50")
    assert recipe.weight_schedules == ["losses.cycle: weight 1 to 0 over 200 steps; the run ends before, at 0.75"]
    again = Recipe.read(RECIPES / "cyclegan.toml", {"losses": recipe.resolved()["losses"]})
    assert again.losses["cycle"].calls == recipe.losses["cycle"].calls


def test_a_resumed_run_continues_the_schedule(tmp_path: Path, cheap: dict[str, Any]) -> None:
    settings = {**cheap, "train.steps": 4, "train.checkpoint_every": 2, "losses.l1.weight": FALLING}
    settings["schedule"] = {"type": "constant"}
    recipe = Recipe.read(RECIPES / "pix2pix_small.toml", settings)
    whole = train(recipe, tmp_path / "whole")
    half = train(Recipe.read(RECIPES / "pix2pix_small.toml", {**settings, "train.steps": 2}), tmp_path / "half")
    resumed = train(recipe, tmp_path / "half", resume=checkpoint.find(half.folder))
    for name, value in whole.translator.state_dict().items():
        assert torch.equal(value, resumed.translator.state_dict()[name]), name


@pytest.mark.parametrize("setting", ["losses.gan.type=bce_gan", "losses.gan=bce_gan"])
def test_another_type_of_loss_keeps_the_weights_of_the_recipe(setting: str) -> None:
    recipe = read(setting)
    assert recipe.losses["gan"].factory.name == "bce_gan"
    assert weights(recipe, "gan") == {"generator": LossWeight(1), "discriminator": LossWeight(0.5)}


def test_another_type_of_loss_may_set_its_weight_and_needs_its_own_inputs(tmp_path: Path) -> None:
    child = tmp_path / "child.toml"
    child.write_text(
        f"extends = '{RECIPES / 'cyclegan.toml'}'\n[losses.gan]\ntype = 'hinge'\nweight = {{ generator = 3 }}\n"
    )
    assert weights(Recipe.read(child), "gan") == {"generator": LossWeight(3), "discriminator": LossWeight(0.5)}
    assert refused(lambda: read("losses.cycle.type=torch.nn.SmoothL1Loss"))[0].startswith(
        "losses.cycle: 'torch.nn.SmoothL1Loss' needs 'input' and 'target': say which outputs feed it"
    )
