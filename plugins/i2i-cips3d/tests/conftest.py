"""Shared fixtures: this plugin and the one that it builds on are loaded; the folder of official figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_fixtures import official_folder, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
pytest.importorskip("i2i_cips3d", reason="the plugin i2i-cips3d is not installed")

from i2i.core.plugins import default_plugins

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _these_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("I2I_PLUGINS", "stylegan,cips3d")
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures of the official implementation, in the set that `I2I_GOLDEN` names."""
    return official_folder("cips3d")
