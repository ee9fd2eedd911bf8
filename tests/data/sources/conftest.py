"""One folder of images, and a server of it on loopback."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from written_sources import FileServer, RangeHandler, noise


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`trainA` with 7 images, `trainB` with 5 in subfolders, `testA` and `testB` with 2 each."""
    folder = tmp_path / "images"
    for base, (name, count) in enumerate({"trainA": 7, "trainB": 5, "testA": 2, "testB": 2}.items()):
        for number in range(count):
            path = folder / name / ("ä b" if number % 2 and name == "trainB" else "") / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise(100 * base + number).save(path)
    (folder / "trainA" / "notes.txt").write_text("not an image")
    (folder / "trainA" / ".hidden.png").write_bytes(b"hidden")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """A server of `tmp_path`."""
    handler = functools.partial(RangeHandler, directory=str(tmp_path))
    with FileServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
