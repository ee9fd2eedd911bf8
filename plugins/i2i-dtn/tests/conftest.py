"""Shared fixtures: only this plugin is loaded, and settings that make its recipes small."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from i2i.core.plugins import PluginInfo, default_plugins

i2i_dtn = pytest.importorskip("i2i_dtn", reason="the plugin i2i-dtn is not installed")


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("I2I_PLUGINS", "")
    default_plugins.cache_clear()
    default_plugins()._load(PluginInfo("dtn", "i2i-dtn", ""), i2i_dtn)  # also from a checkout
    yield
    default_plugins.cache_clear()


TINY = {
    "translator.features.channels": 4,
    "translator.features.features": 8,
    "translator.generator.channels": 8,
    "translator.discriminators.image.channels": 4,
    "translator.feature_steps": 2,
    "train.batch_size": 3,
    "train.steps": 4,
    "train.workers": 0,
    "train.sample_every": 0,
    "train.log_every": 1,
    "train.checkpoint_every": 100,
}


@pytest.fixture
def tiny() -> dict[str, object]:
    """Settings that make DTN's recipes small enough to train in a test."""
    return dict(TINY)
