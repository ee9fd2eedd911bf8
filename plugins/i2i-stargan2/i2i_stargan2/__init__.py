"""StarGAN v2 as an i2i plugin: one generator for any number of domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    from i2i_stargan2.kinds import MAPPING, STYLE_ENCODER

    registry.add_kind(MAPPING)
    registry.add_kind(STYLE_ENCODER)
    registry.add(i2i.TRANSLATOR, "stargan2", "i2i_stargan2.translator:StarGAN2")
    registry.add(i2i.GENERATOR, "stargan2", "i2i_stargan2.generator:StyledResnet")
    registry.add(MAPPING, "domain_mlp", "i2i_stargan2.style:DomainMLP")
    registry.add(STYLE_ENCODER, "domain_style_encoder", "i2i_stargan2.style:DomainStyleEncoder")
    registry.add(i2i.DISCRIMINATOR, "domain_resnet", "i2i_stargan2.discriminator:DomainResnet")
    registry.add(i2i.LOSS, "diversity", "i2i_stargan2.losses:Diversity")
    registry.add(i2i.IMPORTER, "stargan2-pytorch", "i2i_stargan2.importer:stargan2_pytorch")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
