"""Shared fixtures: this plugin and i2i-stylegan are loaded; the folder of official figures; a small generator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from official_figures import Figures, read
from plugin_fixtures import official_folder, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_edit", reason="the plugin i2i-edit is not installed")

from i2i.core.plugins import default_plugins


@pytest.fixture(autouse=True)
def _these_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recipes and components of i2i, of this plugin and of i2i-stylegan, whatever else is installed."""
    monkeypatch.setenv("I2I_PLUGINS", "stylegan,edit")
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture
def golden() -> Callable[[str], Figures]:
    """Read a file of the set of official figures that I2I_GOLDEN names, such as `sefa/factorize`."""

    def figures(name: str) -> Figures:
        folder, _, file = name.rpartition("/")
        assert (Path(official_folder(folder)) / f"{file}.safetensors").is_file()
        return read(official_folder(folder), file)

    return figures
