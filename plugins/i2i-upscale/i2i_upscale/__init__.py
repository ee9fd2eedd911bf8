"""Super-resolution as an i2i plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.GENERATOR, "rrdb", "i2i_upscale.networks:RRDBNet")
    registry.add(i2i.GENERATOR, "srvgg", "i2i_upscale.networks:SRVGG")
    registry.add(i2i.DISCRIMINATOR, "unet_sn", "i2i_upscale.networks:UNetDiscriminatorSN")
    registry.add(i2i.DATASET, "degraded", "i2i_upscale.data:Degraded")
    registry.add(i2i.TRANSLATOR, "super_resolution", "i2i_upscale.translator:SuperResolution")
    registry.add(i2i.STAGE, "upscale", "i2i_upscale.stage:Upscale")


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i upscale`."""
    from i2i_upscale.command import upscale

    cli.add_command(upscale)


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
