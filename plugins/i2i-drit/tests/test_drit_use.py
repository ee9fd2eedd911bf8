"""Use of the installed plugin: recipes by name, refused recipes, styles, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import i2i
from i2i.cli import run
from i2i.core.plugins import default_plugins
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.loaded import Loaded, to_image

Tiny = Callable[..., Recipe]
Images = Callable[..., dict[str, Tensor]]


def test_the_plugin_is_found() -> None:
    found = {info.name: info for info in default_plugins().found}
    assert found["drit"].loaded
    assert found["drit"].distribution == "i2i-drit"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("drit", {"data.size": 208}, "data.size: the content discriminator needs images of at least 212 px, got 208"),
        (
            "drit_small",
            {"translator.content_discriminator.layers": 4},
            "translator.content_discriminator.layers: 4 layers need images of at least 64 px, got 32 px; 3 layers",
        ),
        ("drit_small", {"data.size": 34}, "data.size: expected a multiple of 4, at least 16, got 34; try 32 or 36"),
        (
            "drit_small",
            {"translator.generator": {"type": "resnet"}},
            "expected one with encode_content, encode_attribute, decode, such as drit_concat, got 'resnet'",
        ),
        (
            "drit_small",
            {"translator.content_discriminator.num_features": 3},
            "num_features: cannot be set here: the rest of the recipe decides it",
        ),
        (
            "drit_small",
            {"translator.discriminators.multiscale": "none"},
            "expected at least one discriminator",
        ),
    ],
)
def test_wrong_recipes_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.read(name, settings)
    assert message in str(caught.value)


def test_a_resolved_recipe_reads_as_the_same_recipe(tmp_path: Path) -> None:
    for name in ("drit", "drit_shape", "dritpp", "drit_small"):
        recipe = Recipe.read(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe.to_toml())
        assert Recipe.read(path).resolved() == recipe.resolved()


@pytest.fixture(params=["drit", "drit_shape"])
def loaded(tiny: Tiny, request: pytest.FixtureRequest) -> Loaded:
    recipe = tiny(request.param, **{"translator.generator.init": "kaiming"})
    return Loaded(recipe, build(recipe).eval(), 0)


def test_styles(loaded: Loaded, images: Images) -> None:
    batch, reference = images()["a"], images(1, seed=3)["b"]
    assert loaded.translator.conditions() == ["style", "seed", "blend"]
    default = loaded.translate(batch, "b")
    assert torch.equal(default, loaded.translate(batch, "b", style="random"))
    assert torch.equal(default, loaded.translate(batch, "b", style=1, seed=0))
    assert not torch.equal(default, loaded.translate(batch, "b", style=2))
    assert not torch.equal(default, loaded.translate(batch, "b", seed=1))
    translator: Any = loaded.translator
    with torch.no_grad():
        code = translator.style_of(reference, "b")
        expected = translator.generator.decode(translator.content_of(batch, "a"), code.expand(2, -1), "b")
    assert torch.equal(expected, loaded.translate(batch, "b", style=reference))
    assert torch.equal(expected, loaded.translate(batch, "b", style=code))


def test_styles_on_the_command_line(tiny: Tiny, images: Images, tmp_path: Path) -> None:
    def translate(*arguments: object) -> int:
        return run(["translate", *map(str, arguments)])

    recipe = tiny("drit_small", **{"translator.generator.init": "kaiming"})
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    source, reference, out = tmp_path / "in.png", tmp_path / "reference.png", tmp_path / "out"
    to_image(images()["a"][0]).save(source)
    to_image(images()["b"][0]).save(reference)
    assert translate(tmp_path / "run", source, "--style", 2, "--output", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["in.1.png", "in.2.png"]
    assert translate(tmp_path / "run", source, "--style", reference, "--output", tmp_path / "by_image") == 0
    results = {path.read_bytes() for path in (*out.iterdir(), tmp_path / "by_image/in.png")}
    assert len(results) == 3
    assert i2i.load(tmp_path / "run").recipe.translator.name == "disentangled"
