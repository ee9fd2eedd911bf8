"""What the tests share: only this plugin is loaded, and figures of the official implementations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from official_figures import Figures, read

# Single-threaded processes are faster on a shared machine; child processes inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_stylegan", reason="the plugin i2i-stylegan is not installed")

from i2i.core.plugins import default_plugins


@pytest.fixture(autouse=True)
def _this_plugin_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recipes and components of i2i and of this plugin, whatever else is installed."""
    monkeypatch.setenv("I2I_PLUGINS", "stylegan")
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture
def golden() -> Callable[[str], Figures]:
    """Read a file of the set of official figures that I2I_GOLDEN names, such as `stylegan2/gen`."""
    folder = os.environ.get("I2I_GOLDEN")
    if not folder:
        pytest.skip("I2I_GOLDEN names no set of official figures")
    return lambda name: read(Path(folder) / name.rpartition("/")[0], name.rpartition("/")[2])
