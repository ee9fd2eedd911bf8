"""What the tests of pages share, those of plugins too: a server on loopback in a thread, and headless Chromium."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def serving(models: Mapping[str, Any], *arguments: Any, **options: Any) -> Iterator[tuple[str, Any]]:
    """Serve loaded runs; gives the server's address and its application."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs i2i[serve]")
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


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Headless Chromium with further arguments; tests that need it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("I2I_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("needs Chromium: install it, or set I2I_CHROMIUM to its file")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", *arguments])
        yield browser
        browser.close()
