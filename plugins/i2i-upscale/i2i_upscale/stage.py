"""The stage `upscale` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Gt, Le

from i2i.core.bounds import Count
from i2i.core.stages import ClipShape
from i2i.use.stages import FrameByFrame, image_size_of


class Upscale(FrameByFrame):
    """Enlarge every frame.

    Args:
        weights: see `i2i_upscale.upscaling.Upscaler`; bicubic interpolation when None.
        scale: factor of both sides.
        tile: side of the windows of larger frames in pixels; 0 for none.
        device: such as `cuda:1`; the machine's accelerator when None.
    """

    def __init__(
        self,
        weights: str | None = None,
        scale: Annotated[float, Gt(0), Le(16)] = 4.0,
        tile: Count = 256,
        device: str | None = None,
    ) -> None:
        self.weights, self.scale, self.tile, self.device = weights, scale, tile, device

    def plan(self, shape: ClipShape) -> ClipShape:
        if self.weights is not None:
            from i2i_upscale.packaged import located

            path = located(self.weights)
            if path.is_dir():
                image_size_of(path)  # refuses what is no run
        return replace(shape, width=round(shape.width * self.scale), height=round(shape.height * self.scale))

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        from i2i_upscale.upscaling import Upscaler

        upscaler = Upscaler(self.weights, self.scale, self.tile, device=self.device)
        for frame in clip:
            yield upscaler(frame)
