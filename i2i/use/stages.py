"""The built-in stages of pipelines: `translate`, `resize` and `repeat`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from PIL import Image

from i2i.core.bounds import Positive
from i2i.core.stages import ClipShape
from i2i.data.transforms import FILTERS, Resample
from i2i.errors import OptionError

Pixels = NDArray[np.uint8]


def image_size_of(run: Path) -> tuple[int, int]:
    """Return height and width of a run's training images, without building its networks.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    from i2i.engine import checkpoint
    from i2i.recipe.recipe import Recipe

    saved = checkpoint.find(run, needed=(checkpoint.RECIPE,))
    return Recipe.read(saved.folder / checkpoint.RECIPE).image_size


class FrameByFrame:
    """Base of stages whose frame n depends on frame n of the clip before alone."""

    def restart(self, index: int) -> tuple[int, int]:
        """Return frame `index`, and nothing to leave out."""
        return index, 0


class Translate(FrameByFrame):
    """Translate every frame with a trained run.

    Args:
        run: run folder, or one of its checkpoints.
        to: domain to translate to.
        size: shorter side of the results in pixels, or `original`; the recipe's size when None.
        batch_size: frames that are translated together.
        device: such as `cuda:1`; the machine's accelerator when None.
    """

    def __init__(
        self,
        run: Path,
        to: str = "b",
        size: Annotated[int, Ge(8)] | Literal["original"] | None = None,
        batch_size: Positive = 4,
        device: str | None = None,
    ) -> None:
        self.run, self.to, self.size, self.batch_size, self.device = Path(run), to, size, batch_size, device

    def plan(self, shape: ClipShape) -> ClipShape:
        size = image_size_of(self.run)
        if self.size == "original":
            return shape
        side = self.size or min(size)
        scale = side / min(shape.width, shape.height)
        return replace(shape, width=round(shape.width * scale), height=round(shape.height * scale))

    def frames(self, clip: Iterator[Pixels]) -> Iterator[Pixels]:
        import torch

        from i2i.data.images import to_image
        from i2i.use.loaded import load

        loaded = load(self.run, self.device)
        loaded.check(self.to, {})
        size = 1 if loaded.constraints.batch_dependent else self.batch_size
        while batch := list(islice(clip, size)):
            prepared = torch.stack([loaded.prepare(Image.fromarray(frame), self.size) for frame in batch])
            for image in loaded.run(prepared, self.to).image.float().cpu():
                yield np.asarray(to_image(image))


class Resize(FrameByFrame):
    """Resize every frame.

    Args:
        scale: factor of both sides; in place of `width` and `height`.
        width: in pixels; from `height` and the aspect when None.
        height: in pixels; from `width` and the aspect when None.
        resample: Pillow's filter.

    Raises:
        OptionError: neither a scale nor a side is given, or both are.
    """

    def __init__(
        self,
        scale: float | None = None,
        width: Positive | None = None,
        height: Positive | None = None,
        resample: Resample = "bicubic",
    ) -> None:
        if (scale is None) == (width is None and height is None):
            raise OptionError("scale", "expected either a scale, or width, height or both")
        if scale is not None and not 0 < scale <= 64:
            raise OptionError("scale", f"expected a factor above 0, at most 64, got {scale}")
        self.scale, self.width, self.height, self.resample = scale, width, height, resample

    def plan(self, shape: ClipShape) -> ClipShape:
        width, height = self._target(shape.width, shape.height)
        return replace(shape, width=width, height=height)

    def frames(self, clip: Iterator[Pixels]) -> Iterator[Pixels]:
        for frame in clip:
            target = self._target(frame.shape[1], frame.shape[0])
            yield np.asarray(Image.fromarray(frame).resize(target, FILTERS[self.resample]))

    def _target(self, width: int, height: int) -> tuple[int, int]:
        if self.scale is not None:
            return max(1, round(width * self.scale)), max(1, round(height * self.scale))
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.width is not None:
            return self.width, max(1, round(height * self.width / width))
        assert self.height is not None
        return max(1, round(width * self.height / height)), self.height


class Repeat:
    """Repeat the whole clip, or make a clip of a still image.

    Args:
        times: how often the clip is shown.
        rate: frames per second of a clip that is made of a still image.

    Memory holds the clip once; use it for short ones.
    """

    def __init__(self, times: Positive = 2, rate: Annotated[int, Ge(1)] = 25) -> None:
        self.times, self.rate = times, rate

    def plan(self, shape: ClipShape) -> ClipShape:
        count = None if shape.frames is None else shape.frames * self.times
        return replace(shape, rate=shape.rate or Fraction(self.rate), frames=count)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        kept = list(clip)
        for _ in range(self.times):
            yield from kept

    def restart(self, index: int) -> tuple[int, int]:
        """Return the first frame: all of them are repeated."""
        return 0, index
