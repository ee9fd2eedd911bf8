"""Whatever a recipe holds, the check says what is wrong with it and never fails itself."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from i2i.core.plugins import Plugins
from i2i.recipe.files import read
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError, Source

RECIPES = Path(__file__).parents[2] / "recipes"
REGISTRY = Plugins({}).registry
WHOLE = [read(RECIPES / f"{name}.toml").values for name in ("ugatit", "cyclegan", "ugatit_small")]

KNOWN = [
    *("cam", "in", "none", "l1", "adam", "portraits", "real", "global_", "size", "steps", "extends", "type"),
    *("weight", "inputs", "generator", "discriminator", "", "a.b", "keys", "\0", "x" * 500),
]
NAMED = ["torch.nn." + name for name in ("L1Loss", "Module", "Sequential", "Parameter", "ModuleList")]
words = st.sampled_from([*KNOWN, *NAMED, "torch.optim.Optimizer", "os.system"])
scalars = (
    words
    | st.booleans()
    | st.integers(-3, 200)
    | st.sampled_from([2**63, -(2**70), 10**400, 0.5, -1.0, 1e300, float("inf"), float("nan"), date(2020, 1, 1)])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


def places(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """A recipe with a few keys deleted, renamed or given another value."""
    recipe = copy.deepcopy(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 4))):
        known = list(places(recipe))
        if not known:
            break
        *path, last = draw(st.sampled_from(known))
        table: dict[str, Any] = recipe
        for key in path:
            table = table[key]
        what = draw(st.sampled_from(["delete", "replace", "rename", "add"]))
        if what == "delete":
            del table[last]
        elif what == "rename":
            table[draw(words)] = table.pop(last)
        else:
            table[last if what == "replace" else draw(words)] = draw(values)
    return recipe


@pytest.mark.thorough
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipes())
def test_a_changed_recipe_is_either_right_or_told_what_is_wrong(values: dict[str, Any]) -> None:
    said = ""
    try:
        recipe = Recipe.check(Source("mine", values, {}), REGISTRY)
    except RecipeError as error:
        said = str(error)
    if said:
        assert all(line.startswith("mine: ") and len(line) < 2000 for line in said.splitlines())
    else:
        again = Recipe.check(Source("mine", tomllib.loads(recipe.to_toml()), {}), REGISTRY)
        assert again.to_toml() == Recipe.check(Source("x", again.resolved(), {}), REGISTRY).to_toml()


@pytest.mark.parametrize("value", [{}, {"translator": {"generator": {}}}, {"": 1}, {"losses": {"a": {"b": {"c": 1}}}}])
def test_fragments(value: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Recipe.check(Source("mine", value, {}), REGISTRY)
