"""Shared fixtures: only this plugin is loaded, also where it is not installed; torch uses one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from plugin_fixtures import only_plugin

from i2i.methods.translator import Translator
from i2i.recipe.recipe import Recipe

TINY: dict[str, Any] = {
    "translator.stages": [{"size": 8, "stable": 4}, {"size": 16, "fade": 4, "stable": 4}],
    "translator.reconstruction_gan_size": 16,
    "translator.generator.channels": 16,
    "translator.generator.max_channels": 6,
    "translator.discriminators.image.channels": 16,
    "translator.discriminators.image.max_channels": 6,
    "losses.reconstruction.weight": 1.0,  # the paper's
    "losses.content.weight": 0.1,
    "data.size": 16,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
    "train.log_every": 1,
    "train.steps": 12,
    "train.ema": "none",
}


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Load this plugin only, also where it is not installed."""
    with only_plugin(monkeypatch, "twingan"):
        yield


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings that make the recipe `twingan_small` small enough to train in a test."""
    return dict(TINY)


@pytest.fixture
def translator(tiny: dict[str, Any]) -> Translator:
    """The translator of the recipe `twingan_small`, made small."""
    from i2i.methods.assembly import build

    return build(Recipe.read("twingan_small", tiny))


@pytest.fixture
def images() -> dict[str, torch.Tensor]:
    """A batch of noise: [2, 3, 16, 16] in [-1, 1] of each domain."""
    draws = torch.Generator().manual_seed(5)
    return {domain: torch.rand(2, 3, 16, 16, generator=draws) * 2 - 1 for domain in "ab"}
