"""What to try when memory is short: nothing that is on already, and the cheapest in quality first."""

from __future__ import annotations

from typing import Any

from i2i.engine.switches import Settings, lighter, switches
from i2i.recipe.recipe import Recipe


def tried(name: str, **settings: Any) -> list[Settings]:
    given = [f"{key}={value}" for key, value in settings.items()]
    return switches(Recipe.read(name, given), lambda more: Recipe.read(name, (*given, *more)))


def test_from_none_to_half_the_size() -> None:
    found = tried("quickstart", **{"data.size": 64, "data.type": '"shapes"', "train.batch_size": 4})
    recompute, rounded = "train.gradient_checkpointing=true", "train.precision=bf16"
    split = ("train.batch_size=1", "train.accumulate=4")
    assert found == [
        (),
        (recompute,),
        (rounded,),
        (recompute, rounded),
        split,
        (recompute, rounded, *split),
        ("data.size=32",),
        (recompute, rounded, *split, "data.size=32"),
    ]


def test_what_is_on_is_not_tried() -> None:
    found = tried(
        "pix2pix", **{"train.gradient_checkpointing": "true", "train.precision": '"bf16"', "data.load_size": 286}
    )
    assert found == [(), ("data.size=128", "data.load_size=143")]


def test_a_switch_of_the_generator_is_found_by_what_it_saves() -> None:
    def changed(more: Settings = ()) -> Recipe:
        return Recipe.read("ugatit", ["data.size=96", *more])

    assert list(lighter(changed(), changed)) == [("translator.generator.light=true",)]
    assert ("translator.generator.light=true",) in switches(changed(), changed)
