"""What the style recipes say of a VGG works: the layers are there, and the decoder is its mirror."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", ["adain_style", "fast_style"])
def test_the_settings_for_a_vgg_in_the_comment_fit(name: str) -> None:
    comment = re.findall(r"^#(.*)$", (RECIPES / f"{name}.toml").read_text(encoding="utf-8"), re.MULTILINE)
    lines = [line.strip().removesuffix("\\") for line in comment if line.strip().startswith("--set ")]
    words = shlex.split(" ".join(lines))
    settings = [word for word in words if word != "--set"]
    assert len(settings) == 4
    recipe = Recipe.read(name, settings)
    assert "vgg" in recipe.to_toml()
    dry_run(recipe)
