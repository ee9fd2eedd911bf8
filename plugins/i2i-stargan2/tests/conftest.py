"""Shared fixtures: only this plugin is loaded, settings that make the recipe small, the folder of official figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

# Single-threaded processes are faster on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_stargan2", reason="the plugin i2i-stargan2 is not installed")

from i2i.core import plugins

TINY: dict[str, Any] = {
    **{f"translator.{part}.width": 64 for part in ("generator", "style_encoder", "discriminator")},
    **{f"translator.{part}.max_channels": 8 for part in ("generator", "style_encoder", "discriminator")},
    "translator.generator.style_channels": 4,
    "translator.mapping.latent_channels": 4,
    "translator.mapping.hidden": 8,
    "data": {"type": "shape_domains", "size": 16, "domains": ["square", "circle", "diamond"]},
    "losses.diversity.weight": {"from": 2, "to": 0, "over": 4},
    "train.steps": 4,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.log_every": 1,
    "train.sample_every": 0,
    "train.checkpoint_every": 100,
}


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("I2I_PLUGINS", "stargan2")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("stargan2", "i2i_stargan2", group)])
    plugins.default_plugins.cache_clear()
    yield
    plugins.default_plugins.cache_clear()


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings that make the recipe small enough to train in a test."""
    return dict(TINY)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures that the official code computed, in the set that `I2I_GOLDEN` names."""
    if "I2I_GOLDEN" not in os.environ:
        pytest.skip("I2I_GOLDEN names no set of official figures")
    folder = Path(os.environ["I2I_GOLDEN"]) / "stargan_v2"
    if not folder.is_dir():
        pytest.fail(f"I2I_GOLDEN: expected a folder stargan_v2 of official figures, got {folder}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parity tests are those that ask for figures; `-m golden` selects them."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")
