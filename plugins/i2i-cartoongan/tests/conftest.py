"""Shared fixtures: only this plugin is loaded; settings that make recipes small; the folder of official figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

# Single-threaded processes are faster on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_cartoongan", reason="the plugin i2i-cartoongan is not installed")

from i2i.core import plugins

GOLDEN = Path(os.environ.get("I2I_GOLDEN") or Path(__file__).parents[3] / "tests" / "golden")
FEATURES = {"type": "timm", "model": "dla46x_c", "weights": "untrained"}
TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.edges.channels": 4,
    "translator.initialization": 2,
    "losses.content.taps": ["level1.0"],
    "losses.content.features": FEATURES,
    "data": {"type": "smooth_portraits", "size": 32, "count": 12},
    "train.steps": 4,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.log_every": 1,
    "train.sample_every": 0,
    "train.checkpoint_every": 100,
}


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("I2I_PLUGINS", "cartoongan")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("cartoongan", "i2i_cartoongan", group)])
    plugins.default_plugins.cache_clear()
    yield
    plugins.default_plugins.cache_clear()


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings that make the recipes small enough to train in a test."""
    return dict(TINY)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures of the official implementations: the small set of the repository, or `I2I_GOLDEN`."""
    if not GOLDEN.is_dir():
        pytest.fail(f"I2I_GOLDEN: expected a folder of official figures, got {GOLDEN}")
    return GOLDEN


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parity tests are those that ask for figures; `-m golden` selects them."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")
