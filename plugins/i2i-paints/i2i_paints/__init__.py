"""PaintsChainer as an i2i plugin: colours line art, guided by colour hints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "paints", "i2i_paints.translators:LineColoring")
    registry.add(i2i.TRANSLATOR, "paints_refinement", "i2i_paints.translators:PaintsRefinement")
    registry.add(i2i.TRANSLATOR, "line_extraction", "i2i_paints.translators:LineExtraction")
    registry.add(i2i.GENERATOR, "paints_unet", "i2i_paints.networks:AlternatingUNet")
    registry.add(i2i.GENERATOR, "paints_lines", "i2i_paints.networks:LineNetwork")
    registry.add(i2i.DISCRIMINATOR, "paints_discriminator", "i2i_paints.networks:PaintsDiscriminator")
    registry.add(i2i.LOSS, "paints_gan", "i2i_paints.losses:PaintsGAN")
    registry.add(i2i.LOSS, "line_difference", "i2i_paints.losses:LineDifference")
    registry.add(i2i.STAGE, "colour", "i2i_paints.stage:Colour")
    registry.add(i2i.PANEL, "hint_brush", "i2i_paints.panel:HintBrush")
    registry.add(i2i.DATASET, "line_art", "i2i_paints.data:LineArtFolder")
    registry.add(i2i.DATASET, "drawn_regions", "i2i_paints.data:DrawnRegions")


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i colour`."""
    from i2i_paints.command import colour

    cli.add_command(colour)


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
