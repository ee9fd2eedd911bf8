"""Shared fixtures: only this plugin is loaded; the folder of official figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_fixtures import official_folder, only_plugin, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
pytest.importorskip("i2i_upscale", reason="the plugin i2i-upscale is not installed")


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with only_plugin(monkeypatch, "upscale"):
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures of the official implementation, in the set that `I2I_GOLDEN` names."""
    return official_folder("super_resolution")
