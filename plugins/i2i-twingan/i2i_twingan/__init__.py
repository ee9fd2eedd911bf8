"""TwinGAN as an i2i plugin: one growing encoder and generator for two domains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "twin", "i2i_twingan.translator:Twin")
    registry.add(i2i.TRANSLATOR, "twin_conditioned", "i2i_twingan.conditioned:TwinConditioned")
    registry.add(i2i.FEATURE_EXTRACTOR, "drawn_tags", "i2i_twingan.tags:DrawnTags")
    registry.add(i2i.GENERATOR, "twin_unet", "i2i_twingan.generator:TwinUnet")
    registry.add(i2i.DISCRIMINATOR, "pggan", "i2i_twingan.discriminator:PGGAN")
    registry.add(i2i.NORM, "renorm", "i2i_twingan.norms:BatchRenorm")
    registry.add(i2i.NORM, "affine", "i2i_twingan.norms:Affine")
    registry.add(i2i.NORM, "pixel", "i2i_twingan.norms:PixelNorm")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i search`."""
    from i2i_twingan.command import search  # imported only on the command line

    cli.add_command(search)
