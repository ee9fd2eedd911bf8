"""What a stage of a pipeline must do: frames in, frames out, and what is known before the first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # this file stays free of NumPy, so that `i2i --help` is fast
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ClipShape:
    """Size, rate and length of a clip.

    Args:
        width: in pixels.
        height: in pixels.
        rate: frames per second; 0 for a still image.
        frames: number of frames; None where it is known only after the last one.
    """

    width: int
    height: int
    rate: Fraction
    frames: int | None

    def __str__(self) -> str:
        count = "frames" if self.frames is None else f"{self.frames} frame{'s' * (self.frames != 1)}"
        rate = f" at {float(self.rate):g} per second" if self.rate else ""
        return f"{self.width} x {self.height} pixels, {count}{rate}"


class Stage(Protocol):
    """One step of a pipeline. Constructors check options only; files are opened and networks built in `frames`.

    A stage with the attribute `generates = True` takes no frames: it is the first one of a pipeline without a source.
    """

    def plan(self, shape: ClipShape) -> ClipShape:
        """Return what comes out for a clip of this shape, without computing a frame.

        Raises:
            I2IError: the stage cannot take such a clip, or a file that it needs is missing.
        """

    def frames(self, clip: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Yield the frames of the result, [H, W, 3] of uint8; memory must not grow with their number.

        Args:
            clip: frames of the clip before, each of which may be read once.
        """

    def restart(self, index: int) -> tuple[int, int]:
        """Return where to begin again, to get frame `index` of the result.

        Returns:
            first: number of the first frame to read.
            dropped: how many frames of the result to leave out then.
        """
