"""Positional normalization as an i2i plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """One norm; by text, so that it is imported when a recipe first names it."""
    registry.add(i2i.NORM, "pono", "i2i_pono.norm:PONO")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
