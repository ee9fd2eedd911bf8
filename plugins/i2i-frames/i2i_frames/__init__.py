"""Frame interpolation as an i2i plugin: RIFE, forward splatting, depth-aware flow projection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the kind and the components by name and import path; each is imported when a recipe first names it."""
    from i2i_frames.kinds import FRAME_NETWORK

    registry.add_kind(FRAME_NETWORK)
    registry.add(FRAME_NETWORK, "ifnet", "i2i_frames.rife:IFNet")
    registry.add(FRAME_NETWORK, "rife4", "i2i_frames.rife:RIFE4")
    registry.add(FRAME_NETWORK, "depth_aware", "i2i_frames.depth:DepthAware")
    registry.add(i2i.TRANSLATOR, "frame_interpolation", "i2i_frames.translator:FrameInterpolation")
    registry.add(i2i.LOSS, "laplacian", "i2i_frames.losses:Laplacian")
    registry.add(i2i.LOSS, "charbonnier", "i2i_frames.losses:Charbonnier")
    registry.add(i2i.LOSS, "mean", "i2i_frames.losses:Mean")
    registry.add(i2i.DATASET, "frame_triplets", "i2i_frames.triplets:FrameTriplets")
    registry.add(i2i.DATASET, "moving_sprites", "i2i_frames.sprites:MovingSprites")
    registry.add(i2i.IMPORTER, "rife4", "i2i_frames.importers:rife4")
    registry.add(i2i.STAGE, "interpolate", "i2i_frames.stage:Interpolate")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"
