"""Shared by all tests here: the plugin is loaded alone, whatever else is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_style", reason="the plugin i2i-style is not installed")

from i2i.core.plugins import default_plugins  # only after the check that the plugin is installed


@pytest.fixture(scope="module", autouse=True)
def _only_this_plugin() -> Iterator[None]:
    """Restrict recipes and components to i2i and this plugin; of module scope, as other fixtures of modules need it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_PLUGINS", "style")
        default_plugins.cache_clear()
        yield
    default_plugins.cache_clear()
