"""Domain transfer networks as an i2i plugin: translation that preserves the features of a function; and DA-GAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "dtn", "i2i_dtn.translators:DTN")
    registry.add(i2i.TRANSLATOR, "dtn_joint", "i2i_dtn.translators:DTNJoint")
    registry.add(i2i.TRANSLATOR, "dtn_given", "i2i_dtn.translators:DTNGiven")
    registry.add(i2i.DISCRIMINATOR, "label_encoder", "i2i_dtn.networks:LabelEncoder")
    registry.add(i2i.DISCRIMINATOR, "dtn_discriminator", "i2i_dtn.networks:DTNDiscriminator")
    registry.add(i2i.DECODER, "dtn_decoder", "i2i_dtn.networks:DTNDecoder")
    registry.add(i2i.LOSS, "dtn_binary", "i2i_dtn.losses:Binary")
    registry.add(i2i.LOSS, "dtn_ternary", "i2i_dtn.losses:Ternary")
    registry.add(i2i.LOSS, "dtn_tv", "i2i_dtn.losses:TotalVariation")
    registry.add(i2i.TRANSLATOR, "dagan", "i2i_dtn.dagan:DAGAN")
    registry.add(i2i.GENERATOR, "dagan", "i2i_dtn.dagan:InstanceGenerator")
    registry.add(i2i.LOSS, "mask_area", "i2i_dtn.dagan:MaskArea")
    registry.add(i2i.LOSS, "dagan_minimax", "i2i_dtn.dagan:Minimax")
    registry.add(i2i.DATASET, "digits", "i2i_dtn.digits:Digits")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
