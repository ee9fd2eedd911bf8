"""The page works in a real browser, on a narrow and on a wide screen, and asks no other host for anything."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.use.loaded import Loaded


@pytest.fixture(scope="module")
def server(models: dict[str, Loaded], start: Callable[..., Any]) -> Iterator[str]:
    with start(models) as (address, _):
        yield address


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo of a face.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def open_page(browser: Any, server: str) -> Iterator[Callable[[int], Any]]:
    """`open_page(width)`: the page in a window; at the end, it must have stayed with its server without errors."""
    contexts: list[Any] = []
    problems: list[str] = []

    def watch(request: Any) -> None:
        if not request.url.startswith((server, "blob:", "data:")):
            problems.append(f"request to {request.url}")

    def opened(width: int) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", watch)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(server)
        page.wait_for_selector("main:not([hidden])")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [problem for problem in problems if "status of 415" not in problem] == []


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.thorough
@pytest.mark.parametrize("width", [360, 1400])
def test_images_are_translated(width: int, photo: Path, open_page: Callable[[int], Any], tmp_path: Path) -> None:
    page = open_page(width)
    assert fits(page)
    page.check("#heatmap")
    page.set_input_files("#files", [str(photo)])
    page.locator(".slider").nth(2).wait_for()  # three models side by side
    page.wait_for_selector(".heat")
    size = page.evaluate(
        "[document.querySelector('.after').naturalWidth, document.querySelector('.after').naturalHeight]"
    )
    assert size == [43, 32]
    page.locator(".slider input").first.focus()
    page.keyboard.press("Home")
    assert page.evaluate("document.querySelector('.slider').style.getPropertyValue('--at')") == "0%"
    columns = page.evaluate("new Set([...document.querySelectorAll('figure')].map((f) => f.offsetLeft)).size")
    assert columns == (1 if width == 360 else 3)
    assert fits(page)
    if shots := os.environ.get("I2I_SCREENSHOTS"):
        page.screenshot(path=f"{shots}/page-{width}.png", full_page=True)
    page.uncheck("[value=munit]")
    page.uncheck("[value=cyclegan]")
    with page.expect_download() as download:
        page.click("#zip")
    download.value.save_as(tmp_path / "all.zip")
    assert zipfile.ZipFile(tmp_path / "all.zip").namelist() == ["photo of a face.png"]


@pytest.mark.thorough
def test_styles_paste_and_errors(photo: Path, open_page: Callable[[int], Any], tmp_path: Path) -> None:
    page = open_page(1400)
    for name in ("portraits", "cyclegan"):
        page.uncheck(f"[value={name}]")
    assert page.is_visible("#number")
    assert not page.is_visible("#heatmap")
    page.fill("#number", "2")
    page.fill("#second", "5")
    page.evaluate(
        """async () => {
            const send = window.fetch;
            window.fetch = (url, options) => {
                window.sent = Object.fromEntries(options.body.entries());
                return send(url, options);
            };
            const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 40 });
            const blob = await new Promise((done) => canvas.toBlob(done));
            const data = new DataTransfer();
            data.items.add(new File([blob], 'pasted.png', { type: 'image/png' }));
            dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
        }"""
    )
    page.wait_for_selector(".slider")
    sent = page.evaluate("window.sent")
    assert (sent["model"], sent["to"], sent["style"], sent["weights"]) == ("munit", "b", "2,5", "0.5,0.5")
    (tmp_path / "text.png").write_text("no image")
    page.set_input_files("#files", [str(tmp_path / "text.png")])
    assert page.locator(".error").inner_text().startswith("munit: expected an image")


@pytest.mark.thorough
def test_the_webcam_is_translated(open_page: Callable[[int], Any]) -> None:
    page = open_page(360)
    page.click("#camera")
    page.wait_for_selector("#pace:has-text('frames per second')")
    assert page.evaluate("document.querySelector('#preview').width") == 43
    assert fits(page)
    page.click("#shot")
    page.wait_for_selector(".slider")
    page.click("#stop")
    assert not page.is_visible("#live")


def test_the_description_of_the_interface(open_page: Callable[[int], Any]) -> None:
    page = open_page(360)
    page.click("text=API")
    page.wait_for_selector("text=POST /translate-many")
    assert page.is_visible("text=image (required)")
    assert fits(page)


@pytest.mark.thorough
def test_a_token_is_asked_for(browser: Any, models: dict[str, Loaded], start: Callable[..., Any]) -> None:
    with start(models, token="secret") as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.fill("#token", "secret")
        page.click("text=Use")
        page.wait_for_selector("main:not([hidden])")
        page.goto(f"{address}/docs")
        page.wait_for_selector("text=POST /translate-many")
        page.close()
