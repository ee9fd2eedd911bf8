"""Recipes written for one test, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from i2i.core.plugins import Plugins, default_plugins
from i2i.core.registry import Registry
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

Write = Callable[..., Path]
Said = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def only_built_in() -> Iterator[None]:
    """No plugin that another test has loaded changes what messages list."""
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture
def registry() -> Registry:
    return Plugins({}).registry


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a recipe into the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def said(write: Write) -> Said:
    """What is wrong with a recipe, line by line; nothing where it is well."""

    def said(text: str = "extends = 'ugatit_small'", *settings: str) -> list[str]:
        try:
            Recipe.read(write(text), settings)
        except RecipeError as error:
            return str(error).splitlines()
        return []

    return said
