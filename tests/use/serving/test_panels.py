"""Panels that plugins add: which runs have them, their files, actions, limits and errors, and the page in a browser."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from PIL import Image

import i2i
from i2i.core.plugins import Plugins
from i2i.use.loaded import Loaded
from i2i.use.serving import panel_values
from i2i.use.serving.panels import panels_of
from i2i.use.serving.requests import Limits

PAGE = """<!doctype html><title>Mirror</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="../../../panel.css"><p id="problem" role="alert" hidden></p><div id="shown"></div>
<button id="go">Go</button><button id="wrong">Wrong</button><script type="module" src="panel_page.js"></script>"""
SCRIPT = """import { action, dataURL, element, slider } from "../../../panel.js";
const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 20 });
canvas.getContext("2d").fillRect(0, 0, 10, 20);
element("go").onclick = async () => {
  const image = await dataURL(canvas, 20);
  element("shown").append(slider(image, (await action("mirror", { image, times: 1 })).image));
};
element("wrong").onclick = () => action("mirror", { image: "no", times: 1 }).catch(() => {});
"""


class Mirror:
    """Panel that mirrors images, for the run `portraits`."""

    title = "Mirror"
    folder: ClassVar[Path]
    stopped = False

    def __init__(self, model: Loaded) -> None:
        self.model = model

    @classmethod
    def accepts(cls, model: Loaded) -> bool:
        return model.recipe.name == "ugatit_small"

    @property
    def actions(self) -> Mapping[str, Any]:
        return {"mirror": self.mirror, "png": self.png, "slow": self.slow}

    def mirror(self, values: dict[str, Any]) -> dict[str, Any]:
        image = panel_values.image(values, "image")
        for _ in range(panel_values.whole(values, "times", 0, 9)):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return {"image": image, "seen": [panel_values.number(values, "share", 0, 1, default=0.5)]}

    def png(self, values: dict[str, Any]) -> bytes:
        content = io.BytesIO()
        Image.new("RGB", (2, 3)).save(content, "png")
        return content.getvalue()

    def slow(self, values: dict[str, Any]) -> Iterator[Any]:
        try:
            for _ in range(values["parts"]):
                time.sleep(0.05)
                yield None
            yield {"done": True}
        finally:
            Mirror.stopped = True


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Any:
    Mirror.folder = tmp_path_factory.mktemp("panel")
    (Mirror.folder / "index.html").write_text(PAGE)
    (Mirror.folder / "panel_page.js").write_text(SCRIPT)
    (Mirror.folder / "secret.py").write_text("")
    registry = Plugins({}).registry
    registry.add(i2i.PANEL, "mirror", Mirror)
    return registry


@pytest.fixture(scope="module")
def address(models: dict[str, Loaded], start: Callable[..., Any], registry: Any) -> Iterator[str]:
    limits = Limits(bytes=2**20, pixels=1000, seconds=1.0)
    with start(models, limits, registry=registry) as (address, _):
        yield address


def data_url(width: int = 4, height: int = 2) -> str:
    content = io.BytesIO()
    image = Image.new("RGB", (width, height))
    image.putpixel((0, 0), (255, 0, 0))
    image.save(content, "png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def test_actions_get_images_and_return_objects_or_bytes(address: str) -> None:
    models = {model["name"]: model for model in httpx.get(f"{address}/models").json()["models"]}
    assert models["portraits"]["panels"] == [{"title": "Mirror", "href": "panels/mirror/portraits/"}]
    assert models["munit"]["panels"] == []
    path = f"{address}/panels/mirror/portraits"
    answer = httpx.post(f"{path}/mirror", json={"image": data_url(), "times": 1}).json()
    assert answer["seen"] == [0.5]
    image = Image.open(io.BytesIO(base64.b64decode(answer["image"].partition(",")[2])))
    assert (image.getpixel((3, 0)), image.getpixel((0, 0))) == ((255, 0, 0), (0, 0, 0))
    picture = httpx.post(f"{path}/png", json={})
    assert (picture.headers["content-type"], Image.open(io.BytesIO(picture.content)).size) == ("image/png", (2, 3))
    assert httpx.post(f"{path}/slow", json={"parts": 2}).json() == {"done": True}
    assert httpx.get(path).headers["location"] == "portraits/"
    assert "Mirror" in httpx.get(f"{path}/").text
    assert httpx.get(f"{path}/panel_page.js").status_code == 200


def test_long_actions_end_when_nobody_waits(address: str) -> None:
    Mirror.stopped = False
    late = httpx.post(f"{address}/panels/mirror/portraits/slow", json={"parts": 10**6}, timeout=20)
    assert late.status_code == 504
    end = time.monotonic() + 5
    while not Mirror.stopped:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert httpx.post(f"{address}/panels/mirror/portraits/png", json={}, timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "status", "detail"),
    [
        ("mirror/munit/mirror", b"{}", 404, "the run 'munit' has no panel 'mirror'"),
        ("mirror/none/mirror", b"{}", 404, "there is no run 'none'"),
        ("mirror/portraits/none", b"{}", 404, "this panel has no action 'none'; actions: mirror, png, slow"),
        ("mirror/portraits/mirror", b'{"image": NaN}', 422, "expected a JSON object: NaN does not exist in JSON"),
        ("mirror/portraits/mirror", b'{"image": 1e999}', 422, "expected a JSON object of finite numbers"),
        ("mirror/portraits/mirror", b"[1]", 422, "expected a JSON object, got [1]"),
        ("mirror/portraits/mirror", b'{"x":' + b"[" * 10**5, 422, "expected a JSON object"),
        ("mirror/portraits/mirror", b'{"x":' + b"[" * 99 + b"]" * 99 + b"}", 422, "expected a JSON object: nested too"),
        ("mirror/portraits/mirror", b'{"image": "data:image/png;base64,@"}', 415, "expected an image as a data URL"),
        ("mirror/portraits/mirror", b'{"image": "data:,aGVsbG8="}', 415, "expected an image (JPEG"),
        ("mirror/portraits/mirror", b'{"image": 3}', 422, "image: expected an image as a data URL, got 3"),
        ("mirror/portraits/mirror", json.dumps({"image": data_url(40, 30)}).encode(), 413, "the image has 40 x 30"),
        ("mirror/portraits/mirror", json.dumps({"a": [data_url(30, 30)] * 2}).encode(), 413, "the images have more"),
        ("mirror/portraits/mirror", json.dumps({"image": data_url(), "times": 1.5}).encode(), 422, "times: expected"),
    ],
)  # fmt: skip
def test_wrong_requests_get_a_sentence(address: str, path: str, content: bytes, status: int, detail: str) -> None:
    answer = httpx.post(f"{address}/panels/{path}", content=content, timeout=20)
    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)


@pytest.mark.parametrize("file", ["secret.py", "%2e%2e/index.html", "..%2f..%2fetc%2fpasswd", ".hidden.css", "none.js"])
def test_only_the_files_of_the_page_are_served(address: str, file: str) -> None:
    assert httpx.get(f"{address}/panels/mirror/portraits/{file}").status_code == 404


def test_values_are_checked() -> None:
    assert panel_values.wholes({"seeds": [1, 2]}, "seeds") == [1, 2]
    assert panel_values.choice({}, "mode", ["a", "b"], "a") == "a"
    assert panel_values.flag({"on": True}, "on")
    for check in (
        lambda: panel_values.wholes({"seeds": []}, "seeds"),
        lambda: panel_values.wholes({"seeds": [-1]}, "seeds"),
        lambda: panel_values.number({"x": True}, "x"),
        lambda: panel_values.number({}, "x"),
        lambda: panel_values.choice({"mode": []}, "mode", ["a"]),
        lambda: panel_values.flag({"on": 1}, "on"),
    ):
        with pytest.raises(i2i.I2IError, match=r"^(seeds|x|mode|on): expected"):
            check()


def test_panels_without_a_page_or_that_cannot_be_imported(
    models: dict[str, Loaded], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Plugins({}).registry
    registry.add(i2i.PANEL, "gone", "i2i_none:Panel")
    assert panels_of(models, registry)["portraits"] == {}
    assert "panel 'gone' of plugin '(none)' cannot be loaded" in caplog.text
    empty = type("Empty", (Mirror,), {"folder": tmp_path})
    registry.add(i2i.PANEL, "empty", empty)
    with pytest.raises(i2i.I2IError, match=r"has no index\.html"):
        panels_of(models, registry)


@pytest.mark.thorough
def test_a_panel_in_the_browser(
    browser: Any, models: dict[str, Loaded], start: Callable[..., Any], registry: Any
) -> None:
    with start(models, token="secret", registry=registry) as (address, _):
        page = browser.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{address}/#token=secret")
        page.click("text=Mirror: portraits")
        page.click("#go")
        page.wait_for_selector(".slider .after")
        page.wait_for_function("document.querySelector('.after').naturalWidth === 20")
        page.click("#wrong")
        page.wait_for_selector("#problem:not([hidden])")
        assert page.inner_text("#problem") == "image: expected an image as a data URL, got 'no'"
        page.close()
