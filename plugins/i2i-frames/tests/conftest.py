"""Shared fixtures: only this plugin is loaded; the folder of official figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

# Single-threaded processes are faster on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_frames", reason="the plugin i2i-frames is not installed")

from i2i.core import plugins


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("I2I_PLUGINS", "frames")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("frames", "i2i_frames", group)])
    plugins.default_plugins.cache_clear()
    yield
    plugins.default_plugins.cache_clear()


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures of the official implementation, named by `I2I_GOLDEN`; without it parity tests skip."""
    if not os.environ.get("I2I_GOLDEN"):
        pytest.skip("set I2I_GOLDEN to a folder of official figures")
    folder = Path(os.environ["I2I_GOLDEN"]) / "frame_interpolation"
    if not folder.is_dir():
        pytest.fail(f"I2I_GOLDEN: expected a folder that holds frame_interpolation, got {folder.parent}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parity tests are those that ask for figures; `-m golden` selects them."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")
