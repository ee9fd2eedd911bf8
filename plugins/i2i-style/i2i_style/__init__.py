"""Neural style transfer as an i2i plugin: optimized images (Gatys), AdaIN style transfer, fast style transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click

    from i2i_style.stylization import Stylization, stylize

__all__ = ["Stylization", "stylize"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        # Loading the plugin must not import torch, which takes seconds.
        from i2i_style import stylization

        return getattr(stylization, name)
    raise AttributeError(f"module 'i2i_style' has no attribute {name!r}")


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Adds the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "adain_style", "i2i_style.adain_style:AdaINStyle")
    registry.add(i2i.TRANSLATOR, "fast_style", "i2i_style.fast_style:FastStyle")
    registry.add(i2i.GENERATOR, "transformer_net", "i2i_style.transformer_net:TransformerNet")
    registry.add(i2i.DECODER, "mirror_decoder", "i2i_style.mirror_decoder:MirrorDecoder")
    registry.add(i2i.NORM, "cin", "i2i_style.norms:ConditionalInstanceNorm")
    registry.add(i2i.LOSS, "mean_std", "i2i_style.losses:MeanStd")
    registry.add(i2i.LOSS, "tv", "i2i_style.losses:TotalVariation")
    registry.add(i2i.DATASET, "styles", "i2i_style.styles:Styles")
    registry.add(i2i.DATASET, "textures", "i2i_style.textures:Textures")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i stylize`."""
    from i2i_style.command import stylize  # imported only on the command line

    cli.add_command(stylize)
