"""The stage `colour` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from i2i.core.stages import ClipShape
from i2i.use.stages import FrameByFrame, image_size_of


class Colour(FrameByFrame):
    """Colour line art, frame by frame.

    Args:
        run: run folder of PaintsChainer's recipes.
        hints: PNG of the frames' size with colours on a transparent ground, for all frames; none when None.
        device: such as `cuda:1`; the machine's accelerator when None.
        keep_lines: whether the colours are multiplied by the lines, which stay sharp.
    """

    def __init__(
        self, run: Path, hints: Path | None = None, device: str | None = None, keep_lines: bool = False
    ) -> None:
        self.run, self.hints, self.device, self.keep_lines = Path(run), hints, device, keep_lines

    def plan(self, shape: ClipShape) -> ClipShape:
        from i2i_paints.coloring import read_hints

        image_size_of(self.run)  # refuses what is no run
        if self.hints is not None:
            read_hints(Path(self.hints), (shape.width, shape.height))
        return shape

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        from PIL import Image

        import i2i
        from i2i_paints.coloring import color_lines, read_hints

        loaded = i2i.load(self.run, device=self.device)
        for frame in clip:
            lines = Image.fromarray(frame)
            hints = None if self.hints is None else read_hints(Path(self.hints), lines.size)
            yield np.asarray(color_lines(loaded, lines, hints, self.keep_lines))
