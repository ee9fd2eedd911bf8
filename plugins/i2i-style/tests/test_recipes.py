"""The settings for a VGG in the recipes' comments work, and the documentation names every component and option."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import i2i_style
import pytest
from i2i_style.command import stylize

from i2i.core.plugins import default_registry
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe

RECIPES = Path(i2i_style.__file__).parent / "recipes"


@pytest.mark.parametrize("name", ["adain_style", "fast_style"])
def test_the_settings_for_a_vgg_in_the_comments_are_valid(name: str) -> None:
    comment = re.findall(r"^#(.*)$", (RECIPES / f"{name}.toml").read_text(encoding="utf-8"), re.MULTILINE)
    lines = [line.strip().removesuffix("\\") for line in comment if line.strip().startswith("--set ")]
    words = shlex.split(" ".join(lines))
    settings = [word for word in words if word != "--set"]
    assert len(settings) == 4
    recipe = Recipe.read(name, settings)
    assert "vgg" in recipe.to_toml()
    dry_run(recipe)


def test_the_page_names_every_component_and_every_option_of_the_command() -> None:
    page = (Path(__file__).parents[3] / "docs/methods/style.md").read_text(encoding="utf-8")
    components = [entry.name for entry in default_registry() if entry.target.startswith("i2i_style.")]
    assert len(components) == 9
    options = [option for parameter in stylize.params for option in parameter.opts if option.startswith("--")]
    assert [name for name in (*components, *options) if f"`{name}" not in page] == []
