"""Channels and sizes of the networks follow from the streams of the data, for every method and without its own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from i2i.core.contracts import Stream
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

WIDE = (32, 64)
SMALL: Mapping[str, Any] = {"train.batch_size": 2, "train.workers": 0, "data.size": 32}
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "cyclegan_small": {"translator.generator.channels": 4, "losses.identity": "none"},
    "ugatit_small": {"translator.generator.channels": 4, "translator.generator.light": False},
    "cut_small": {"translator.generator.channels": 4, "translator.identity": False, "losses.nce_identity": "none"},
    "pix2pix_small": {"translator.generator.channels": 4},
    "unit_small": {"translator.generator.channels": 4},
    "munit_small": {"translator.generator.channels": 4},
    "nicegan_small": {"translator.generator.channels": 4},
}


def settings_of(name: str) -> dict[str, Any]:
    known = Recipe.read(name).losses
    return {
        **SMALL,
        **{
            key: value
            for key, value in RECIPES[name].items()
            if not key.startswith("losses.") or key.removeprefix("losses.") in known
        },
    }


def batch(streams: Mapping[str, Stream]) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(2, stream.channels, *(stream.size or WIDE), generator=random) * 2 - 1
        for name, stream in streams.items()
    }


@pytest.mark.thorough
@pytest.mark.parametrize("name", RECIPES)
def test_five_channels_of_any_shape_train(name: str) -> None:
    streams = {"a": Stream(channels=5, size=WIDE), "b": Stream(channels=5, size=WIDE)}
    recipe = Recipe.read(name, settings_of(name))
    dry_run(recipe, streams)
    translator = build(recipe, streams=streams)
    terms = Stepper(recipe, translator=translator).step(batch(streams))
    assert all(torch.isfinite(value) for value in terms.values())
    target = translator.targets[0]
    source = next(domain for domain in "ab" if domain != target)
    image = batch(streams)[source]
    with torch.no_grad():
        assert translator.eval().translate(image, target).image.shape == image.shape


@pytest.mark.parametrize("name", ["pix2pix_small", "unit_small", "munit_small"])
def test_domains_may_differ_in_channels(name: str) -> None:
    streams = {"a": Stream(channels=5, size=(32, 32)), "b": Stream(channels=1, size=(32, 32))}
    recipe = Recipe.read(name, settings_of(name))
    translator = build(recipe, streams=streams)
    Stepper(recipe, translator=translator).step(batch(streams))
    with torch.no_grad():
        assert translator.eval().translate(batch(streams)["a"], "b").image.shape == (2, 1, 32, 32)


def test_a_loss_between_images_of_other_channels_is_found_by_the_dry_run() -> None:
    streams = {"a": Stream(channels=5, size=(32, 32)), "b": Stream(channels=1, size=(32, 32))}
    recipe = Recipe.read("ugatit_small", {**settings_of("ugatit_small")})
    message = r"losses\.identity: generator: expected images \[B, 1, H, W\], got \[2, 5, 32, 32\]"
    with pytest.raises(RecipeError, match=message):
        dry_run(recipe, streams)


def test_a_recipe_may_set_the_channels_itself() -> None:
    recipe = Recipe.read("pix2pix_small", {**settings_of("pix2pix_small"), "translator.generator.in_channels": 4})
    assert recipe.resolved()["translator"]["generator"]["in_channels"] == 4
    assert "in_channels" not in Recipe.read("pix2pix_small").resolved()["translator"]["generator"]
    assert build(recipe, streams={"a": Stream(channels=4, size=(32, 32)), "b": Stream(size=(32, 32))}) is not None
