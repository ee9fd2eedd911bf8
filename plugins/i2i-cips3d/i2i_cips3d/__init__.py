"""CIPS-3D as an i2i plugin: images from noise that can be seen from any side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "cips3d", "i2i_cips3d.translator:CIPS3D")
    registry.add(i2i.GENERATOR, "cips3d", "i2i_cips3d.generator:CIPS3DGenerator")
    registry.add(i2i.DISCRIMINATOR, "cips3d", "i2i_cips3d.discriminator:MultiScaleDiscriminator")
    registry.add(i2i.DATASET, "drawn_boxes", "i2i_cips3d.boxes:DrawnBoxes")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
