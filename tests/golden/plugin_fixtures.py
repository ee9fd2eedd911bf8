"""What the tests of all plugins share: one plugin is loaded, and figures of its official implementation are found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

# Single-threaded processes are faster on a shared machine; child processes inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@contextmanager
def only_plugin(patch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    """Load the plugins `i2i-NAME` and no other ones, also where they are not installed."""
    from i2i.core import plugins

    patch.setenv("I2I_PLUGINS", ",".join(names))
    patch.setattr(plugins, "entry_points", lambda group: [EntryPoint(name, f"i2i_{name}", group) for name in names])
    plugins.default_plugins.cache_clear()
    yield
    plugins.default_plugins.cache_clear()


def official_folder(name: str) -> Path:
    """Return a folder of the set of official figures that `I2I_GOLDEN` names; without such a set the test skips."""
    if not os.environ.get("I2I_GOLDEN"):
        pytest.skip("I2I_GOLDEN names no set of official figures")
    folder = Path(os.environ["I2I_GOLDEN"]) / name
    if not folder.is_dir():
        pytest.fail(f"I2I_GOLDEN: expected a folder that holds {name}, got {folder.parent}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parity tests are those that ask for figures; `-m golden` selects them."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")
