"""Slow tests: their files are imported where they run alone, and a fixture loads the plugins that they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from i2i.core import plugins as loading


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Ignore these files, each of whose tests is slow, where slow tests are excluded."""
    return True if "not slow" in config.option.markexpr else None


@pytest.fixture(scope="module")
def all_plugins() -> Iterator[None]:
    """Load the installed plugins, which other tests do without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("I2I_PLUGINS")
        loading.default_plugins.cache_clear()
        yield
    loading.default_plugins.cache_clear()
