"""CartoonGAN and AnimeGANv2 as an i2i plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "cartoon", "i2i_cartoongan.translator:Cartoon")
    registry.add(i2i.GENERATOR, "cartoongan", "i2i_cartoongan.cartoon_generator:CartoonGenerator")
    registry.add(i2i.GENERATOR, "animegan2", "i2i_cartoongan.anime_generator:AnimeGenerator")
    registry.add(i2i.DISCRIMINATOR, "shallow", "i2i_cartoongan.shallow:Shallow")
    registry.add(i2i.LOSS, "edge_gan", "i2i_cartoongan.losses:EdgeGAN")
    registry.add(i2i.LOSS, "animegan", "i2i_cartoongan.losses:AnimeGAN")
    registry.add(i2i.LOSS, "color", "i2i_cartoongan.losses:Color")
    registry.add(i2i.DATASET, "smooth_folders", "i2i_cartoongan.data:SmoothFolders")
    registry.add(i2i.DATASET, "smooth_portraits", "i2i_cartoongan.data:SmoothPortraits")
    registry.add(i2i.DATASET, "smooth_shapes", "i2i_cartoongan.data:SmoothShapes")
    registry.add(i2i.IMPORTER, "cartoongan-pytorch", "i2i_cartoongan.importers:cartoongan_pytorch")
    registry.add(i2i.IMPORTER, "animegan2-pytorch", "i2i_cartoongan.importers:animegan2_pytorch")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
