"""Shared fixtures: only this plugin is loaded, settings that make the recipe small, the folder of official figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_fixtures import official_folder, only_plugin, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
pytest.importorskip("i2i_stargan2", reason="the plugin i2i-stargan2 is not installed")


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
    with only_plugin(monkeypatch, "stargan2"):
        yield


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings that make the recipe small enough to train in a test."""
    return dict(TINY)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures that the official code computed, in the set that `I2I_GOLDEN` names."""
    return official_folder("stargan_v2")
