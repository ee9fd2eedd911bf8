"""The HTTP interface translates as i2i does, batches concurrent requests, and refuses what is hostile."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from i2i.use.loaded import Loaded
from i2i.use.serving.requests import Limits


def png(width: int = 48, height: int = 40, seed: int = 0, **options: Any) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "PNG", **options)
    return content.getvalue()


@pytest.fixture(scope="module")
def server(models: dict[str, Loaded], start: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    with start(models, Limits(bytes=2**20, pixels=10**6, translated=10**5, images=5)) as running:
        yield running


def post(address: str, image: bytes = b"", path: str = "/translate", **fields: Any) -> httpx.Response:
    files = {"image": ("x.png", image or png())}
    return httpx.post(address + path, files=files, data=fields, timeout=60)


def array(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)


@pytest.mark.thorough
def test_translations_are_those_of_i2i(server: tuple[str, Any], models: dict[str, Loaded]) -> None:
    address, _ = server
    image = Image.open(io.BytesIO(png()))
    answer = post(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert np.array_equal(array(answer.content), np.asarray(models["portraits"].translate(image)))
    small = post(address, model="cyclegan", to="a", size="original")
    assert np.array_equal(array(small.content), np.asarray(models["cyclegan"].translate(image, "a", size="original")))
    styled = post(address, model="munit", style="2,3", weights="0.25,0.75", seed="4")
    expected = models["munit"].translate(image, blend={2: 0.25, 3: 0.75}, seed=4)
    assert np.array_equal(array(styled.content), np.asarray(expected))
    files = [("image", ("x.png", png())), ("style_image", ("y.png", png(seed=1)))]
    reference = httpx.post(f"{address}/translate", files=files, data={"model": "munit"}, timeout=60)
    expected = models["munit"].translate(image, style=Image.open(io.BytesIO(png(seed=1))))
    assert np.array_equal(array(reference.content), np.asarray(expected))
    assert array(post(address, output="both").content).shape == (32, 76, 3)
    jpeg = post(address, output="heatmap", format="jpeg")
    assert Image.open(io.BytesIO(jpeg.content)).format == "JPEG"


def test_what_the_server_says_of_itself(server: tuple[str, Any]) -> None:
    address, _ = server
    assert httpx.get(f"{address}/health").json()["status"] == "ok"
    described = {model["name"]: model for model in httpx.get(f"{address}/models").json()["models"]}
    assert described["portraits"]["heatmap"]
    assert described["portraits"]["targets"] == ["a", "b"]
    assert described["munit"]["style"] == {"first": 1, "last": None, "numbers": True, "image": True, "required": False}
    assert set(httpx.get(f"{address}/openapi.json").json()["paths"]) == {
        "/health", "/models", "/translate", "/translate-many"
    }  # fmt: skip
    page = httpx.get(f"{address}/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_many_images_come_as_an_archive(server: tuple[str, Any]) -> None:
    address, _ = server
    names = ["../../etc/passwd.png", "..\\evil.png", "same.jpg", "same.png", ".png"]
    contents = [png(), png(seed=1), b"no image", png(seed=3), png(seed=4)]
    files = [("images", (name, content)) for name, content in zip(names, contents, strict=True)]
    answer = httpx.post(f"{address}/translate-many", files=files, data={"format": "webp"}, timeout=60)
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["passwd.webp", "evil.webp", "same-2.webp", "png.webp", "errors.txt"]
    assert archive.read("errors.txt").startswith(b"same.webp: expected an image")
    too_many = httpx.post(f"{address}/translate-many", files=files + files[:1], timeout=60)
    assert (too_many.status_code, too_many.json()["detail"]) == (413, "expected at most 5 images, got 6")


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in about a kilobyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = (30000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    rows = zlib.compress(bytes(90001 * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("image", "fields", "status", "detail"),
    [
        (bomb(), {}, 413, "the image has 30000 x 30000 pixels, more than the limit of 1000000"),
        (b"hello", {}, 415, "expected an image (JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF), got other or damaged bytes"),
        (png()[:100], {}, 415, "expected an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", {}, 415, "expected"),
        (b"#EXTM3U\nfile:///etc/passwd\n", {}, 415, "expected an image"),
        (png(), {"size": "99999999"}, 413, "an image of 48 x 40 pixels at size 99999999 would have"),
        (png(width=400, height=1), {}, 413, "an image of 400 x 1 pixels at size 32 would have 409600 pixels"),
        (png(), {"size": "-3"}, 422, 'size: expected a number of pixels or "original", got \'-3\''),
        (png(), {"size": "1"}, 422, "expected a size of at least"),
        (png(), {"to": "c"}, 422, "this translator has no domain 'c'; domains: a, b"),
        (png(), {"model": "../x"}, 404, "there is no model '../x'; models: portraits, munit, cyclegan"),
        (png(), {"style": "2"}, 422, "this translator takes no style"),
        (png(), {"model": "munit", "style": "/etc/passwd"}, 422, 'style: expected "random" or numbers'),
        (png(), {"model": "munit", "style": "1,2", "weights": "nan,1"}, 422, "weights: expected 2 numbers >= 0"),
        (png(), {"model": "munit", "conditions": "[["}, 422, "conditions: expected a JSON object"),
        (png(), {"model": "munit", "conditions": '{"content": 1}'}, 422, "conditions: expected a JSON object"),
        (png(), {"model": "cyclegan", "output": "heatmap"}, 422, "this model has no attention and so no heat map"),
    ],
)  # fmt: skip
def test_hostile_requests(
    image: bytes, fields: dict[str, str], status: int, detail: str, server: tuple[str, Any]
) -> None:
    answer = post(server[0], image, **fields)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)
    assert post(server[0]).status_code == 200  # and it still works


def test_large_bodies(server: tuple[str, Any]) -> None:
    address, _ = server
    assert post(address, bytes(2**21)).json()["detail"] == "the request has more than 1048576 bytes"

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n'
        for _ in range(64):
            yield bytes(2**16)

    answer = httpx.post(
        f"{address}/translate",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        timeout=60,
    )
    assert (answer.status_code, answer.json()["detail"]) == (413, "the request has more than 1048576 bytes")
    assert httpx.post(f"{address}/translate", content=b"junk", timeout=60).status_code == 422


@pytest.mark.thorough
def test_fifty_requests_at_once(server: tuple[str, Any], models: dict[str, Loaded]) -> None:
    address, app = server
    before = app.state.batcher.batches
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda seed: post(address, png(seed=seed % 5)), range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert app.state.batcher.batches - before < 50  # some shared a batch
    for seed, answer in enumerate(answers):
        expected = np.asarray(models["portraits"].translate(Image.open(io.BytesIO(png(seed=seed % 5)))), int)
        assert np.abs(array(answer.content) - expected).max() <= 1  # rounding depends on the batch


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.thorough
def test_queue_time_token_and_host(models: dict[str, Loaded], start: Callable[..., Any]) -> None:
    class Slow:
        def __init__(self, model: Loaded) -> None:
            self.model, self.calls, self.open = model, 0, threading.Event()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.model, name)

        def run(self, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls > 1:  # the first call describes the model
                self.open.wait(20)
            return self.model.run(*arguments, **options)

    slow = Slow(models["cyclegan"])
    options = {"token": "secret", "hosts": ["127.0.0.1"]}
    with start({"slow": slow}, Limits(queue=2, seconds=1.5), **options) as (address, _):
        assert post(address).status_code == 401
        assert httpx.get(f"{address}/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        allowed = {"Authorization": "Bearer secret"}
        assert httpx.get(f"{address}/models", headers=allowed).status_code == 200
        assert httpx.get(f"{address}/health", headers={"Host": "evil.example"}).status_code == 400
        send = lambda _=0: httpx.post(f"{address}/translate", files={"image": png()}, headers=allowed, timeout=30)  # noqa: E731
        with ThreadPoolExecutor(3) as pool:
            # The second one is sent while the first is worked on: together they would become one batch, and none waits.
            waiting = [pool.submit(send)]
            until(lambda: slow.calls > 1)
            waiting.append(pool.submit(send))
            until(lambda: httpx.get(f"{address}/health").json()["waiting"] >= 1)
            refused = send()
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            late = [future.result() for future in waiting]
        assert [answer.status_code for answer in late] == [504, 504]
        assert late[0].json()["detail"].startswith("not done within 1.5 seconds")
        # A stop waits for what is being worked on.
        with ThreadPoolExecutor(1) as pool:
            last = pool.submit(send)
            time.sleep(0.3)
            slow.open.set()
            assert last.result().status_code == 200


def test_numeric_conditions_are_checked(models: dict[str, Loaded]) -> None:
    from i2i.use.serving.requests import numeric_conditions

    assert numeric_conditions(models["munit"]) == {}
    assert json.dumps(numeric_conditions(models["cyclegan"])) == "{}"
