"""Shared fixtures: only this plugin is loaded; settings that make recipes small; the folder of official figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_fixtures import only_plugin, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
pytest.importorskip("i2i_cartoongan", reason="the plugin i2i-cartoongan is not installed")


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
    with only_plugin(monkeypatch, "cartoongan"):
        yield


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
