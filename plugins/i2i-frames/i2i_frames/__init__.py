"""Frame interpolation as an i2i plugin: RIFE, forward splatting, depth-aware flow projection."""

from __future__ import annotations

from typing import Any

import i2i


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.STAGE, "interpolate", "i2i_frames.stage:Interpolate")
