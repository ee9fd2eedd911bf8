"""What the tests share: the plugin as installed, and a recipe small enough for a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_drit", reason="the plugin i2i-drit is not installed")

from i2i.core.plugins import default_plugins  # after the look for the plugin
from i2i.recipe.recipe import Recipe

TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.generator.decoder_blocks": 1,
    "translator.discriminators.multiscale.channels": 4,
    "translator.discriminators.multiscale.layers": 2,
    "translator.discriminators.multiscale.scales": 1,
    "translator.content_discriminator": {"type": "content_pooled", "channels": 4},
    "data": {"type": "shapes", "size": 32, "color_b": "random"},
    "train.steps": 6,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.log_every": 1,
    "train.sample_every": 0,
}


@pytest.fixture(autouse=True)
def _this_plugin_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recipes and components of i2i and of this plugin, whatever else is installed."""
    monkeypatch.setenv("I2I_PLUGINS", "drit")
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture
def tiny() -> Callable[..., Recipe]:
    """A shipped recipe made small, with further settings."""

    def tiny(name: str, **more: Any) -> Recipe:
        return Recipe.read(name, {**TINY, **more})

    return tiny


@pytest.fixture
def images() -> Callable[..., dict[str, Tensor]]:
    """Random images of both domains."""

    def images(count: int = 2, size: int = 32, seed: int = 0) -> dict[str, Tensor]:
        draws = torch.Generator().manual_seed(seed)
        return {domain: torch.rand(count, 3, size, size, generator=draws) * 2 - 1 for domain in "ab"}

    return images
