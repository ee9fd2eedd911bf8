"""A fixture of slow tests that need plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from i2i.core import plugins as loading


@pytest.fixture(scope="module")
def all_plugins() -> Iterator[None]:
    """Load the installed plugins, which other tests do without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("I2I_PLUGINS")
        loading.default_plugins.cache_clear()
        yield
    loading.default_plugins.cache_clear()
