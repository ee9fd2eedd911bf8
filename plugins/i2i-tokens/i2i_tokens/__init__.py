"""Image tokens as an i2i plugin: a discrete VAE, and a small transformer from texts to images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "discrete_vae", "i2i_tokens.translators:DiscreteVAETranslator")
    registry.add(i2i.TRANSLATOR, "text_to_image", "i2i_tokens.translators:TextToImage")
    registry.add(i2i.LOSS, "token_kl", "i2i_tokens.losses:TokenKL")
    registry.add(i2i.LOSS, "value", "i2i_tokens.losses:Value")
    registry.add(i2i.DATASET, "captioned_shapes", "i2i_tokens.data:CaptionedShapes")
    registry.add(i2i.DATASET, "captioned_images", "i2i_tokens.data:CaptionedImages")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
