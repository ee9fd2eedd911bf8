"""The gallery: its actions, and its page in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from i2i_stylegan.gallery import Gallery
from i2i_stylegan.latents import mix
from page_fixtures import chromium, serving

from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded


def untrained(name: str, settings: dict[str, Any]) -> Loaded:
    torch.manual_seed(0)
    recipe = Recipe.read(name, settings)
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 1)


@pytest.fixture(scope="module")
def runs() -> dict[str, Loaded]:
    narrow = {f"translator.{part}.channel_base": 64 for part in ("generator", "discriminators.image")}
    channels = {f"translator.{part}.channels": 4 for part in ("generator", "discriminators.image")}
    return {
        "faces": untrained("stylegan2_small", narrow | {"data.data.size": 16}),
        "shapes": untrained("cgan_small", channels),
    }


def test_actions(runs: dict[str, Loaded]) -> None:
    panel = Gallery(runs["faces"])
    assert panel.info({}) == {"size": 16, "layers": 6, "truncation": True, "classes": 0}
    images = panel.sample({"seeds": [3, 4], "truncation": 0.5})["images"]
    assert images[1] == to_image(runs["faces"].sample(1, 4, truncation=0.5)[0])
    mixed = panel.mix({"row": 1, "column": 2, "layers": [0, 1], "truncation": 0.5})["image"]
    assert mixed == to_image(mix(runs["faces"], [1], [2], [0, 1], 0.5).mixed[0, 0])
    parents = [{"seed": 1, "weight": 0.5}, {"seed": 2, "weight": 0.5}]
    children = panel.breed({"parents": parents, "count": 2, "mutation": 0.3, "seed": 1})["children"]
    assert children[0]["image"] != children[1]["image"]
    again = panel.breed({"parents": [{"ws": children[0]["ws"]}], "count": 1})["children"]
    assert again[0]["image"] == children[0]["image"]
    conditional = Gallery(runs["shapes"])
    assert conditional.info({})["classes"] == 2
    assert conditional.sample({"seeds": [0], "class": 1})["images"][0].size == (16, 16)


@pytest.mark.parametrize(
    ("action", "values", "message"),
    [
        ("sample", {"seeds": "1"}, "seeds: expected a list"),
        ("sample", {"seeds": [-1]}, "seeds: expected a whole number"),
        ("sample", {"seeds": [0], "truncation": "x"}, "truncation: expected a number from -10 to 10"),
        ("mix", {"row": 1, "column": 2, "layers": [9]}, "layers: this generator has the layers 0 to 5, got 9"),
        ("breed", {}, "parents: expected a list"),
        ("breed", {"parents": [{"ws": [[0.0]]}]}, "ws: expected 6 lists of 64 numbers"),
        ("breed", {"parents": [{"ws": "x"}]}, "ws: expected 6 lists of 64 numbers"),
        ("breed", {"parents": [{"seed": 1, "weight": 0}]}, "parents: expected a weight above 0"),
    ],
)
def test_wrong_values(runs: dict[str, Loaded], action: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(I2IError) as caught:
        Gallery(runs["faces"]).actions[action](values)
    assert str(caught.value).startswith(message)


def test_a_class_too_many(runs: dict[str, Loaded]) -> None:
    with pytest.raises(I2IError, match="class: expected a whole number from 0 to 1, got 2"):
        Gallery(runs["shapes"]).sample({"seeds": [0], "class": 2})


@pytest.fixture
def page(runs: dict[str, Loaded]) -> Iterator[Any]:
    """The server's page in headless Chromium."""
    errors: list[str] = []
    with serving(runs) as (address, _), chromium() as browser:
        opened = browser.new_page(viewport={"width": 400, "height": 900})
        opened.set_default_timeout(20_000)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.goto(address)
        yield opened
    assert errors == []


def test_the_page(page: Any) -> None:
    page.wait_for_selector("#panels:not([hidden])")
    assert page.is_hidden("#drop")  # neither run translates images
    page.click("text=Gallery: faces")
    page.wait_for_selector("#images .tile:nth-child(16)")
    before = page.get_attribute("#images img", "src")
    page.fill("#truncation", "0.2")
    page.wait_for_function("source => document.querySelector('#images img').src !== source", arg=before)
    page.click("#images .tile:nth-child(1)")
    page.click("#images .tile:nth-child(2)")
    page.wait_for_selector("#mixed img")
    mixed = page.get_attribute("#mixed img", "src")
    page.uncheck("[name=layer][value='0']")
    page.wait_for_function("source => document.querySelector('#mixed img').src !== source", arg=mixed)
    page.dblclick("#images .tile:nth-child(3)")
    page.dblclick("#images .tile:nth-child(4)")
    page.click("#breed")
    page.wait_for_selector("#children .tile:nth-child(8)")
    page.dblclick("#children .tile:nth-child(1)")
    assert page.locator("#parents input").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if shots := os.environ.get("I2I_SCREENSHOTS"):
        page.screenshot(path=f"{shots}/gallery.png", full_page=True)
