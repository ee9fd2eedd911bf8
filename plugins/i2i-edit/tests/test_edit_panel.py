"""The editing panel: its actions, its page in a browser on a narrow and a wide screen, and two users at once."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_edit.labelled_samples import train_segmenter
from i2i_edit.panel import EditPanel, encode
from i2i_edit.segmentation import CLASSIFIERS
from i2i_edit.vectors import EditVector, load_vector, save_vector
from page_fixtures import chromium, serving
from PIL import Image

from i2i.errors import I2IError
from i2i.use.loaded import Loaded

pytest.importorskip("fastapi", reason="needs i2i[serve]")


@pytest.fixture
def panel(loaded: Loaded, labelled: Path) -> EditPanel:
    assert loaded.folder is not None
    train_segmenter(loaded.translator, labelled, members=2, max_epochs=3).save(loaded.folder / CLASSIFIERS)
    panel = EditPanel(loaded)
    vector = EditVector("shift", panel.generator, torch.ones(panel.shape) / 4, method="test")
    save_vector(vector, loaded.folder / "directions" / "shift.safetensors")
    save_vector(EditVector("foreign", "0" * 64, vector.ws), loaded.folder / "directions" / "foreign.safetensors")
    return EditPanel(loaded)


def edited_mask(panel: EditPanel, mask: Image.Image) -> Image.Image:
    """The segmentation with the classes of a square exchanged."""
    pixels = np.array(mask)
    pixels[4:10, 4:10] = 255 - pixels[4:10, 4:10]
    return Image.fromarray(pixels)


def test_state_comes_with_each_request(panel: EditPanel) -> None:
    described = panel.describe({})
    assert described["classes"] == [("dark", "#000000"), ("light", "#ffffff")]
    names = [one["name"] for one in described["directions"]]
    assert {"shift", "sefa1"} <= set(names)
    (note,) = described["notes"]
    assert "foreign.safetensors: this vector belongs to another generator" in note
    start = panel.start({"seed": 3})
    plain = panel.render({"state": start})
    assert plain["image"].size == plain["mask"].size == (16, 16)
    moved = panel.render({"state": {**start, "directions": {"shift": 2}}})
    added = {"ws": encode(torch.ones(panel.shape)), "scale": 0.5}
    same = panel.render({"state": {**start, "vectors": [added]}})
    assert np.array_equal(moved["image"], same["image"])
    assert not np.array_equal(moved["image"], plain["image"])
    edited = panel.brush({"state": start, "mask": edited_mask(panel, plain["mask"])})
    again = panel.render({"state": {**start, "vectors": [{"ws": edited["ws"], "scale": 1}]}})
    assert np.array_equal(edited["image"], again["image"])
    change = {"ws": edited["ws"], "scale": 1}
    refined = panel.refine({"state": start, "vector": change, "classes": edited["classes"], "steps": 4})
    assert refined["image"].size == (16, 16)


def test_vectors_are_saved_and_opened(panel: EditPanel, tmp_path: Path) -> None:
    change = {"ws": encode(torch.ones(panel.shape)), "scale": 0.25}
    content = panel.save({"vector": change, "name": "brighter", "classes": ["light"]})
    (tmp_path / "x.safetensors").write_bytes(content)
    vector = load_vector(tmp_path / "x.safetensors", panel.generator)
    assert vector.ws is not None
    assert torch.equal(vector.ws, torch.full(panel.shape, 0.25))
    opened = panel.load({"content": base64.b64encode(content).decode()})
    assert (opened["name"], opened["classes"]) == ("brighter", ["light"])


def test_wrong_requests_get_one_sentence(panel: EditPanel) -> None:
    start = panel.start({"seed": 0})
    mask = panel.render({"state": start})["mask"]
    cases: list[tuple[Callable[[dict[str, Any]], Any], dict[str, Any], str]] = [
        (panel.render, {}, "state: expected an object"),
        (panel.render, {"state": {"ws": "%"}}, "ws: expected base64"),
        (panel.render, {"state": {"ws": "AAAA"}}, "numbers of float32 as base64, got 3 bytes"),
        (panel.render, {"state": {"ws": encode(torch.full(panel.shape, float("nan")))}}, "expected finite numbers"),
        (panel.render, {"state": {**start, "directions": {"x": 1}}}, "directions: there is no 'x'; directions: sefa0"),
        (panel.render, {"state": {**start, "directions": {"sefa1": "2"}}}, "sefa1: expected a number"),
        (panel.render, {"state": {**start, "vectors": [1]}}, "vector: expected an object"),
        (panel.brush, {"state": start, "mask": mask.resize((8, 16))}, "mask: expected a label map of 16 x 16 pixels"),
        (panel.brush, {"state": start, "mask": Image.new("RGB", (16, 16), "red")}, "belongs to no class"),
        (panel.brush, {"state": start, "mask": mask}, "nothing to edit"),
        (panel.refine, {"state": start, "vector": {"ws": start["ws"]}, "classes": ["hat"]}, "there is no class 'hat'"),
        (panel.load, {"content": "AAAA"}, "this file: expected an editing vector"),
        (panel.save, {"vector": {"ws": start["ws"]}, "name": ""}, "name: expected 1 to 60 characters"),
    ]
    for action, values, sentence in cases:
        with pytest.raises(I2IError) as caught:
            action(values)
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_image_is_projected_and_changed_by_words(panel: EditPanel) -> None:
    start = panel.start({"seed": 5})
    image = panel.render({"state": start})["image"]
    found = panel.render({"state": panel.project({"image": image, "steps": 3})})["image"]
    assert found.size == image.size

    class Redness:
        """Stands for an encoder of texts and images: the only text is red."""

        def embed_image(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean((2, 3)) + 1

        def embed_text(self, texts: list[str]) -> torch.Tensor:
            return torch.tensor([[2.0, 0.1, 0.1]] * len(texts))

    with pytest.raises(I2IError, match="this run has no folder text_encoder"):
        panel.words({"state": start, "text": "red"})
    panel.text_encoder = Redness()
    redder = panel.render(
        {"state": {**start, "vectors": [{**panel.words({"state": start, "text": "red"}), "scale": 1}]}}
    )
    red, green, _ = np.subtract(redder["image"], image, dtype=np.float32).mean((0, 1))
    assert red > green
    with pytest.raises(I2IError, match="text: expected words such as red hair, got an empty text"):
        panel.words({"state": start, "text": " "})


def test_a_run_without_classifiers_has_sliders_only(loaded: Loaded) -> None:
    panel = EditPanel(loaded)
    assert panel.describe({})["classes"] == []
    assert set(panel.render({"state": panel.start({"seed": 1})})) == {"image"}
    with pytest.raises(I2IError, match="this run has no classifiers of pixels"):
        panel.brush({"state": panel.start({"seed": 1})})


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def pixels_of(page: Any) -> list[int]:
    """Values of the shown image."""
    return list(
        page.evaluate(
            """() => {
                const canvas = document.getElementById("image");
                return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
            }"""
        )
    )


def test_the_page_in_a_browser(panel: EditPanel, loaded: Loaded, browser: Any, tmp_path: Path) -> None:
    problems: list[str] = []
    with serving({"faces": loaded}) as (address, _):

        def opened(width: int) -> Any:
            page = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True).new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None if request.url.startswith((address, "blob:", "data:")) else problems.append(request.url)
                ),
            )
            page.goto(f"{address}/panels/edit/faces/")
            page.wait_for_selector("main:not([hidden])")
            page.wait_for_selector("#status:has-text('generated')")
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            return page

        def settled(page: Any, word: str) -> None:
            page.wait_for_selector(f"#status:has-text('{word}')")
            page.wait_for_load_state("networkidle")

        wide, narrow = opened(1400), opened(360)
        first = pixels_of(wide)
        assert first == pixels_of(narrow)  # both show seed 0
        assert "foreign.safetensors" in wide.inner_text("#notes")

        # A slider, and undo.
        wide.evaluate("document.getElementById('status').textContent = ''")
        wide.fill("[aria-label='shift']", "2")
        settled(wide, "generated")
        moved = pixels_of(wide)
        assert moved != first
        assert pixels_of(narrow) == first  # the other user is not concerned
        wide.evaluate("document.getElementById('status').textContent = ''")
        wide.click("#undo")
        settled(wide, "generated")
        assert pixels_of(wide) == first

        # Both draw on the mask at the same time; each gets an edit of their own.
        for page, name in ((wide, "light"), (narrow, "dark")):
            page.click(f".class:has-text('{name}')")
            box = page.locator("#mask").bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7, steps=3)
        for page in (wide, narrow):
            page.mouse.up()
        for page in (wide, narrow):
            settled(page, "edited in")
            assert page.is_visible("#save")
        assert first != pixels_of(wide) != pixels_of(narrow) != first

        # The edit becomes a file and a slider, and the file can be opened again.
        edited = pixels_of(wide)
        wide.fill("#name", "bright")
        with wide.expect_download() as download:
            wide.click("#save")
        download.value.save_as(tmp_path / "bright.safetensors")
        assert load_vector(tmp_path / "bright.safetensors", panel.generator).name == "bright"
        assert wide.is_visible("[aria-label='Refine bright']")
        narrow.evaluate("document.getElementById('status').textContent = ''")
        narrow.click("#reset")
        settled(narrow, "generated")
        narrow.evaluate("document.getElementById('status').textContent = ''")
        narrow.set_input_files("#open", str(tmp_path / "bright.safetensors"))
        settled(narrow, "generated")
        assert np.abs(np.subtract(pixels_of(narrow), edited)).max() <= 1

        # An error disappears when the next action begins, not when its answer comes.
        (tmp_path / "text.safetensors").write_text("no vector")
        narrow.set_input_files("#open", str(tmp_path / "text.safetensors"))
        narrow.wait_for_selector("#problem:has-text('expected an editing vector')")
        held: list[Any] = []
        narrow.route("**/render", lambda route: held.append(route))
        narrow.evaluate("document.getElementById('status').textContent = ''")
        with narrow.expect_request("**/render"):
            narrow.click("#undo")
        narrow.wait_for_selector("#problem", state="hidden")
        while not held:
            narrow.wait_for_timeout(20)
        held.pop().continue_()
        settled(narrow, "generated")
        assert narrow.is_hidden("#problem")
        for page, name in ((wide, "wide"), (narrow, "narrow")):
            if folder := os.environ.get("I2I_SCREENSHOTS"):
                page.screenshot(path=Path(folder) / f"edit-{name}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert problems == []
