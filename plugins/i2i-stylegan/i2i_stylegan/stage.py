"""The stage `sample` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Len

from i2i.core.bounds import Positive
from i2i.core.stages import ClipShape
from i2i.use.stages import image_size_of


class Sample:
    """Generate an image of one seed, or a closed way through the images of several.

    Args:
        run: run folder of a generator of images from noise.
        seeds: numbers >= 0; one gives a still image.
        truncation: distance from the average style that is kept; 1 for all variety.
        space: `w` for a closed cubic spline through the styles, `z` for great circles between latent codes.
        frames: number of frames from one seed to the next.
        rate: frames per second.
        device: such as `cuda:1`; the machine's accelerator when None.
    """

    generates: ClassVar[bool] = True

    def __init__(
        self,
        run: Path,
        seeds: Annotated[tuple[Annotated[int, Ge(0)], ...], Len(1)] = (0,),
        truncation: float = 1.0,
        space: Literal["w", "z"] = "w",
        frames: Positive = 60,
        rate: Positive = 25,
        device: str | None = None,
    ) -> None:
        self.run, self.seeds, self.truncation, self.space = Path(run), seeds, truncation, space
        self.frames_between, self.rate, self.device = frames, rate, device

    def plan(self, shape: ClipShape) -> ClipShape:
        height, width = image_size_of(self.run)
        if len(self.seeds) == 1:
            return ClipShape(width, height, Fraction(0), 1)
        return ClipShape(width, height, Fraction(self.rate), len(self.seeds) * self.frames_between)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        import numpy as np

        from i2i.data.images import to_image
        from i2i.use.loaded import load
        from i2i_stylegan.latents import interpolate

        loaded = load(self.run, self.device)
        if len(self.seeds) == 1:
            images = iter(loaded.sample(1, seed=self.seeds[0], truncation=self.truncation))
        else:
            images = interpolate(loaded, self.seeds, self.space, self.frames_between, self.truncation)
        for image in images:
            yield np.asarray(to_image(image).convert("RGB"))

    def restart(self, index: int) -> tuple[int, int]:
        """Return how many frames to leave out; those before are generated again, which is quick."""
        return 0, index
