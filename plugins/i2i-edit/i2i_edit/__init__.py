"""Editing with generators as an i2i plugin: projection, directions, text and masks over StyleGAN2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the kinds and components by name and import path; each is imported when a recipe first names it."""
    from i2i_edit.kinds import TAGGER, TEXT_IMAGE_ENCODER

    for kind in (TEXT_IMAGE_ENCODER, TAGGER):
        registry.add_kind(kind)
    registry.add(i2i.PANEL, "edit", "i2i_edit.panel:EditPanel")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the commands of editing."""
    from i2i_edit.dataset_command import dataset_gan

    cli.add_command(dataset_gan)
