"""A server on loopback in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from page_fixtures import chromium, serving

from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

pytest.importorskip("uvicorn", reason="needs i2i[serve]")
pytest.importorskip("fastapi", reason="needs i2i[serve]")


def loaded(name: str, settings: Mapping[str, object]) -> Loaded:
    torch.manual_seed(0)
    recipe = Recipe.read(name, dict(settings))
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 7)


@pytest.fixture(scope="session")
def models(tiny_settings: Mapping[str, object]) -> dict[str, Loaded]:
    """Models with attention, without, and with styles."""
    munit = {"data.size": 32, "translator.generator.channels": 4, "translator.generator.blocks": 1}
    return {
        "portraits": loaded("ugatit_small", tiny_settings),
        "munit": loaded("munit_small", munit),
        "cyclegan": loaded(
            "cyclegan_small", {"translator.generator.channels": 4, "translator.generator.blocks": 1, "data.size": 32}
        ),
    }


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """`start(models, **options)`: a context with the server's address and its application."""
    return serving


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium with a fake camera; tests that need it are skipped where there is none."""
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as running:
        yield running
