"""Parameter groups: parameters with options of their own within a phase's optimizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from i2i.core.plugins import Plugins
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.schema import schema
from i2i.recipe.source import RecipeError

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL: dict[str, Any] = {
    "data.size": 16,
    "translator.generator.blocks": 1,
    "translator.generator.channels": 4,
    "translator.discriminators.local.layers": 3,
    "translator.discriminators.local.channels": 4,
}


def read(groups: object) -> Recipe:
    return Recipe.read(RECIPES / "cyclegan.toml", {**SMALL, "optimizers.generator.groups": groups})


def refused(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        call()
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.thorough
def test_a_group_has_options_of_its_own() -> None:
    recipe = read(
        [{"modules": ["encoder.stem"], "lr": 1e-3}, {"modules": ["generators.a.encoder.blocks"], "betas": [0, 0.9]}]
    )
    dry_run(recipe)
    stepper = Stepper(recipe)
    rest, stem, inner = stepper.optimizers["generator"].param_groups
    networks = stepper.translator.get_submodule("generators")
    assert {id(p) for p in stem["params"]} == {
        id(p) for name, p in networks.named_parameters() if ".encoder.stem." in f".{name}"
    }
    assert {id(p) for p in inner["params"]} == {
        id(p) for name, p in networks.named_parameters() if name.startswith("a.encoder.blocks.")
    }
    assert len(rest["params"]) + len(stem["params"]) + len(inner["params"]) == len(list(networks.parameters()))
    assert (stem["lr"], stem["betas"]) == (1e-3, rest["betas"])
    assert (inner["lr"], inner["betas"]) == (rest["lr"], (0, 0.9))


def test_a_learning_rate_of_0_trains_nothing_in_its_group() -> None:
    recipe = read([{"modules": ["generators.a"], "lr": 0.0}])
    stepper = Stepper(recipe)
    before = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
    stepper.step({domain: torch.rand(1, 3, 16, 16) for domain in "ab"})
    moved = {name for name, value in stepper.translator.state_dict().items() if not torch.equal(value, before[name])}
    assert not [name for name in moved if name.startswith("generators.a.")]
    assert [name for name in moved if name.startswith("generators.b.")]


def test_the_resolved_recipe_has_the_groups() -> None:
    groups = [{"modules": ["encoder"], "lr": 1e-3}]
    recipe = read(groups)
    assert recipe.resolved()["optimizers"]["generator"]["groups"] == groups
    again = Recipe.read(RECIPES / "cyclegan.toml", {**SMALL, "optimizers": recipe.resolved()["optimizers"]})
    assert again.optimizers["generator"].groups == recipe.optimizers["generator"].groups
    assert again.resolved()["optimizers"] == recipe.resolved()["optimizers"]
    assert "groups" not in recipe.resolved()["optimizers"]["discriminator"]


def test_a_group_in_a_file_has_its_line(write: Callable[..., Path]) -> None:
    text = 'extends = "cyclegan"\n[[optimizers.generator.groups]]\nmodules = ["encoder"]\nlearning_rate = 1\n'
    with pytest.raises(RecipeError) as caught:
        Recipe.read(write(text))
    assert str(caught.value).startswith(
        "mine.toml:4: optimizers.generator.groups[0].learning_rate: a group of 'adam' has no option 'learning_rate'."
    )


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        (3, ": expected tables [[optimizers.generator.groups]], got 3"),
        ([{"lr": 1e-3}], "[0]: a group of 'adam' needs the option 'modules'"),
        ([{"modules": []}], "[0].modules: expected an array of at least 1, got []"),
        ([{"modules": ["encoder"], "lr": "fast"}], "[0].lr: expected a number, got 'fast'"),
    ],
)
def test_what_is_wrong_with_a_table_is_reported(groups: object, problem: str) -> None:
    assert refused(lambda: read(groups)) == [f"optimizers.generator.groups{problem}"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        (
            [{"modules": ["encodr"]}],
            "phase 'generator' trains no submodule 'encodr'. Did you mean 'encoder'?",
        ),
        ([{"modules": ["discriminators"]}], "phase 'generator' trains no submodule 'discriminators'"),
        (
            [{"modules": ["encoder"]}, {"modules": ["generators.a"]}],
            "'generators.a' has parameters that an earlier group has too",
        ),
    ],
)
def test_submodules_are_checked_by_the_dry_run(groups: object, problem: str) -> None:
    (line,) = refused(lambda: dry_run(read(groups)))
    assert line.startswith(f"optimizers.generator.groups: {problem}")


@pytest.mark.parametrize(
    ("group", "valid"),
    [({"modules": ["encoder"], "lr": 1e-3}, True), ({"lr": 1e-3}, False), ({"modules": ["encoder"], "x": 1}, False)],
)
def test_the_schema_has_the_groups(group: dict[str, Any], valid: bool) -> None:
    values = {"optimizers": {"generator": {"type": "adam", "groups": [group]}}}
    assert jsonschema.Draft7Validator(schema(Plugins({}).registry)).is_valid(values) == valid
