"""The panel "Colour by hints" of the web page: a brush for hints on line art, with the live result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from i2i.core.panels import Action
from i2i.errors import I2IError
from i2i.use.serving import panel_values
from i2i_paints.coloring import color_lines
from i2i_paints.lines import xdog
from i2i_paints.translators import LineColoring

if TYPE_CHECKING:
    from i2i.use.loaded import Loaded

MOST_DABS = 2000
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class HintBrush:
    """Panel for runs of `paints` and `paints_refinement`: colours are dabbed on lines, and the drawing is coloured.

    Args:
        model: the loaded run.
    """

    title = "Colour by hints"
    folder = Path(__file__).parent / "page"

    def __init__(self, model: Loaded) -> None:
        self.model = model

    @classmethod
    def accepts(cls, model: Loaded) -> bool:
        """Return whether the run colours lines."""
        return isinstance(model.translator, LineColoring)

    @property
    def actions(self) -> Mapping[str, Action]:
        """Functions that the page calls."""
        return {"colour": self.colour, "lines": self.lines}

    def colour(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return `image`, the drawing `lines` coloured by the hints `dabs`, each with x, y, radius and color.

        With `keep_lines` the drawing's lines are kept sharp.
        """
        lines, keep = panel_values.image(values, "lines"), panel_values.flag(values, "keep_lines")
        return {"image": color_lines(self.model, lines, _hints(values.get("dabs"), lines.size), keep)}

    def lines(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return `image`, the lines of a colour image `image`, dark on white."""
        gray = np.asarray(panel_values.image(values, "image").convert("L"), dtype=np.float32) / 255
        found = xdog(torch.from_numpy(gray)[None, None])[0, 0]
        return {"image": Image.fromarray((found.clamp(0, 1) * 255).round().numpy().astype(np.uint8))}


def _hints(dabs: object, size: tuple[int, int]) -> Image.Image | None:
    """Return drawn dabs as RGBA on a transparent ground; None without any."""
    if not isinstance(dabs, list) or len(dabs) > MOST_DABS or not all(isinstance(dab, dict) for dab in dabs):
        raise I2IError(f"dabs: expected a list of at most {MOST_DABS} objects with x, y, radius and color")
    if not dabs:
        return None
    hints = Image.new("RGBA", size)
    draw = ImageDraw.Draw(hints)
    for dab in dabs:
        x, y = (panel_values.number(dab, name, -size[0] - size[1], 2 * (size[0] + size[1])) for name in ("x", "y"))
        radius = panel_values.number(dab, "radius", 0.5, max(size))
        color = dab.get("color")
        if not isinstance(color, str) or not _COLOR.fullmatch(color):
            raise I2IError(f"color: expected one such as #ff8800, got {color!r:.40}")
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*bytes.fromhex(color[1:]), 255))
    return hints
