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
    registry.add(i2i.STAGE, "edit", "i2i_edit.stage:Edit")
    registry.add(i2i.PANEL, "edit", "i2i_edit.panel:EditPanel")
    registry.add(TEXT_IMAGE_ENCODER, "clip", "i2i_edit.clip:CLIPEncoder")
    registry.add(TEXT_IMAGE_ENCODER, "captions", "i2i_edit.captions:CaptionEncoder")
    registry.add(TAGGER, "timm", "i2i_edit.taggers:TimmTagger")
    registry.add(TAGGER, "texts", "i2i_edit.taggers:TextTagger")
    registry.add(TAGGER, "drawn_portraits", "i2i_edit.taggers:DrawnPortraitTagger")
    registry.add(i2i.TRANSLATOR, "caption_encoder", "i2i_edit.captions:CaptionTranslator")
    registry.add(i2i.TRANSLATOR, "style_encoder", "i2i_edit.style_encoder:StyleEncoder")
    registry.add(i2i.LOSS, "contrastive", "i2i_edit.captions:Contrastive")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the commands of editing."""
    from i2i_edit import command, mapper_command
    from i2i_edit.dataset_command import dataset_gan

    for one in (command.edit, command.project, command.directions, mapper_command.text_mapper, dataset_gan):
        cli.add_command(one)
