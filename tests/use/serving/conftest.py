"""A server on loopback in a thread."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

uvicorn = pytest.importorskip("uvicorn", reason="needs i2i[serve]")
pytest.importorskip("fastapi", reason="needs i2i[serve]")


def loaded(name: str, settings: Mapping[str, object]) -> Loaded:
    torch.manual_seed(0)
    recipe = Recipe.read(name, dict(settings))
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 7)


@pytest.fixture(scope="session")
def models(tiny_settings: Mapping[str, object]) -> dict[str, Loaded]:
    """Models with attention, without, and with styles."""
    munit = {"data.size": 32, "translator.generator.channels": 4, "translator.generator.blocks": 1}
    return {
        "portraits": loaded("ugatit_small", tiny_settings),
        "munit": loaded("munit_small", munit),
        "cyclegan": loaded(
            "cyclegan_small", {"translator.generator.channels": 4, "translator.generator.blocks": 1, "data.size": 32}
        ),
    }


@contextmanager
def serving(models: Mapping[str, Loaded], *arguments: Any, **options: Any) -> Iterator[tuple[str, Any]]:
    from i2i.use.serving.app import create_app

    app = create_app(models, *arguments, **options)
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", timeout_graceful_shutdown=10))
    socket = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}", app
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """`start(models, **options)`: a context with the server's address and its application."""
    return serving


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium with a fake camera; tests that need it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("I2I_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("needs Chromium: install it, or set I2I_CHROMIUM to its file")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", *camera])
        yield chromium
        chromium.close()
