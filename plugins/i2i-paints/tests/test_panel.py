"""The hint brush: its actions and their errors, and the page in a headless browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_paints.data import DrawnRegions
from i2i_paints.panel import HintBrush
from page_fixtures import chromium, serving
from PIL import Image

from i2i.data.images import read_image
from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

DAB = {"x": 20, "y": 12, "radius": 3, "color": "#ff0000"}


@pytest.fixture
def model() -> Loaded:
    if folder := os.environ.get("I2I_MEASURED_RUN"):  # to look at screenshots of a trained run
        import i2i

        return i2i.load(folder, "cpu")
    torch.manual_seed(0)
    recipe = Recipe.read("paints_small", {"translator.generator.channels": 2})
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    _, line, _ = DrawnRegions(size=96).drawing(np.random.Generator(np.random.PCG64(3)))
    path = tmp_path / "drawing.png"
    pixels = np.zeros((96, 96, 4), np.uint8)  # black lines on a transparent ground
    pixels[..., 3] = 255 - ((line[0].numpy() + 1) * 127.5).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_actions_colour_drawings_and_find_lines(model: Loaded, drawing: Path) -> None:
    panel, image = HintBrush(model), read_image(drawing)
    assert HintBrush.accepts(model)
    plain = panel.colour({"lines": image, "dabs": []})["image"]
    hinted = panel.colour({"lines": image, "dabs": [DAB]})["image"]
    kept = panel.colour({"lines": image, "dabs": [], "keep_lines": True})["image"]
    assert plain.size == hinted.size == kept.size == image.size
    assert np.array(kept)[np.array(image) == 0].max() == 0 < np.array(plain)[np.array(image) == 0].max()
    assert (np.array(plain) != np.array(hinted)).any()
    lines = panel.lines({"image": image})["image"]
    assert lines.size == image.size
    assert set(np.unique(np.array(lines))) & {0, 255}
    for values, message in (
        ({"lines": image}, "dabs: expected a list"),
        ({"lines": image, "dabs": [DAB | {"color": "red"}]}, "color: expected one such as #ff8800, got 'red'"),
        ({"lines": image, "dabs": [DAB | {"radius": 1e6}]}, "radius: expected a number from"),
        ({"dabs": []}, "lines: expected an image"),
    ):
        with pytest.raises(I2IError, match=message):
            panel.colour(values)


@pytest.fixture
def page(model: Loaded) -> Iterator[Any]:
    """The panel in Chromium, served on loopback; it must ask no other host for anything."""
    problems: list[str] = []
    with serving({"run": model}) as (address, _), chromium() as browser:
        opened = browser.new_page(viewport={"width": 900, "height": 700})
        opened.set_default_timeout(30_000)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        own = (address, "data:", "blob:")
        opened.on("request", lambda request: None if request.url.startswith(own) else problems.append(request.url))
        opened.goto(address)
        opened.click("text=Colour by hints")
        yield opened
    assert problems == []


def shown(page: Any, before: str | None = None, after: str | None = None) -> str:
    """Wait until the result differs from one image, or is another one; the page's policy forbids scripts of a test."""
    for _ in range(600):
        source: str = page.get_attribute("#result", "src") or ""
        done = page.text_content("#state") == "Coloured drawing"
        if done and (source == after if after else source not in ("", before)):
            return source
        page.wait_for_timeout(50)
    raise AssertionError("the result did not change")


def test_the_brush_in_a_browser(page: Any, drawing: Path) -> None:
    page.set_input_files("#file", [{"name": "x.png", "mimeType": "image/png", "buffer": b"no image"}])
    page.wait_for_selector("#problem:not([hidden])")
    assert "not an image" in page.text_content("#problem")
    page.set_input_files("#file", str(drawing))
    plain = shown(page)
    board = "document.getElementById('board').toDataURL()"
    empty = page.evaluate(board)
    page.fill("#color", "#2040ff")
    box = page.locator("#board").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    shown(page, before=plain)
    assert page.text_content("#count") == "1 hint"
    if shots := os.environ.get("I2I_SCREENSHOTS"):
        page.screenshot(path=str(Path(shots) / "hint_brush.png"))
    page.keyboard.press("Control+z")
    shown(page, after=plain)
    assert page.evaluate(board) == empty
    assert page.is_disabled("#undo")
    page.uncheck("#keep")
    shown(page, before=plain)
    page.check("#extract")
    shown(page)
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
