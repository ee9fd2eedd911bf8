"""The stage `animate` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from i2i.core.stages import ClipShape
from i2i.errors import I2IError
from i2i.use.stages import image_size_of


class Animate:
    """Animate a still image by a driving clip.

    Args:
        run: run folder of the First Order Motion Model.
        driving: clip whose motion is taken.
        absolute: whether keypoints are put where the driving clip has them.
        adapt_scale: whether movements are scaled by the ratio of the sizes of both objects.
        device: such as `cuda:1`; the machine's accelerator when None.
    """

    def __init__(
        self,
        run: Path,
        driving: Path,
        absolute: bool = False,
        adapt_scale: bool = False,
        device: str | None = None,
    ) -> None:
        self.run, self.driving, self.device = Path(run), Path(driving), device
        self.absolute, self.adapt_scale = absolute, adapt_scale

    def plan(self, shape: ClipShape) -> ClipShape:
        from i2i.use.video import clip_info

        if shape.frames != 1:
            raise I2IError(f"expected one image to animate, got {shape}")
        if not self.driving.exists():
            raise I2IError(f"driving: there is no file {self.driving}")
        height, width = image_size_of(self.run)
        info = clip_info(self.driving)
        return ClipShape(width, height, info.rate, info.frames)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        from PIL import Image

        import i2i
        from i2i.use.video import read_frames
        from i2i_fomm.animation import Animator

        source = Image.fromarray(next(clip))
        loaded = i2i.load(self.run, device=self.device)
        animator = Animator(loaded, source, relative=not self.absolute, adapt_scale=self.adapt_scale)
        yield from animator.frames(frame.pixels for frame in read_frames(self.driving))

    def restart(self, index: int) -> tuple[int, int]:
        """Return the image itself: motion is relative to the first driving frame."""
        return 0, index
