"""DRIT and DRIT++ as an i2i plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "disentangled", "i2i_drit.translator:Disentangled")
    registry.add(i2i.GENERATOR, "drit_concat", "i2i_drit.generators:ConcatGenerator")
    registry.add(i2i.GENERATOR, "drit_shape", "i2i_drit.generators:ShapeGenerator")
    registry.add(i2i.DISCRIMINATOR, "content", "i2i_drit.content_discriminators:ContentDiscriminator")
    registry.add(i2i.DISCRIMINATOR, "content_pooled", "i2i_drit.content_discriminators:PooledContentDiscriminator")
    registry.add(i2i.LOSS, "content_adversary", "i2i_drit.losses:ContentAdversary")
    registry.add(i2i.LOSS, "kl_gaussian", "i2i_drit.losses:GaussianKL")
    registry.add(i2i.LOSS, "mode_seeking", "i2i_drit.losses:ModeSeeking")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
