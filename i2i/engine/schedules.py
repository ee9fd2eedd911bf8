"""Schedules of the learning rate: a factor that follows from the step alone, so that a resumed run needs no state."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field


class Constant:
    """The learning rate as the optimizer has it."""

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        return 1.0


class LinearDecay:
    """Constant at first, then falling by equal amounts to 0 at the last step.

    Args:
        steps: how many steps in all.
        start: share of the steps before the fall.

    Source: U-GAT-IT (arXiv:1907.10830) and CycleGAN (arXiv:1703.10593), both with `start` 0.5. For an odd number of
    steps U-GAT-IT's code ends below 0; this one stops there.
    """

    def __init__(self, steps: int, start: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None:
        self.begin = math.floor(steps * start)
        self.length = max(1, math.floor(steps * (1 - start)))

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        return max(0.0, 1 - max(0, step + 1 - self.begin) / self.length)


class EpochDecay:
    """Constant at first, then falling by equal amounts after each epoch, to one such amount in the last epoch.

    Args:
        steps: how many steps in all.
        epochs: how many epochs they are.
        start: share of the epochs before the fall.

    Source: CUT (arXiv:2007.15651), whose scheduler steps at the end of each epoch; 400 epochs and `start` 0.5.
    """

    def __init__(
        self,
        steps: int,
        epochs: Annotated[int, Field(ge=1)] = 400,
        start: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        self.steps, self.epochs = steps, epochs
        self.begin = round(epochs * start)

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        finished = min(step, self.steps - 1) * self.epochs // self.steps
        return 1 - max(0, finished + 1 - self.begin) / (self.epochs - self.begin + 1)


class Cosine:
    """Half a cosine from 1 to `floor`, after a linear warm-up.

    Args:
        steps: how many steps in all.
        warmup: steps in which the rate rises from near 0.
        floor: factor at the end.

    Source: Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983, equation 5, without restarts.
    """

    def __init__(
        self, steps: int, warmup: Annotated[int, Field(ge=0)] = 0, floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    ) -> None:
        self.steps, self.warmup, self.floor = steps, warmup, floor

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class StepDecay:
    """Falls by a factor each time that a number of steps is over.

    Args:
        every: steps between two falls.
        gamma: the factor.

    Source: MUNIT and UNIT (NVlabs/MUNIT a82e222), 0.5 every 100,000 steps. Their scheduler moves before the first
    update, so each fall comes one step early: update number `every` is the first with the lower rate.
    """

    def __init__(
        self, every: Annotated[int, Field(ge=1)] = 100_000, gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    ) -> None:
        self.every, self.gamma = every, gamma

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        return float(self.gamma ** ((step + 1) // self.every))


class Inverse:
    """Falls as 1 / (1 + decay * step).

    Args:
        decay: how fast; at step 1 / decay the rate has halved.

    Source: AdaIN style transfer (arXiv:1703.06868), whose code has 5e-5.
    """

    def __init__(self, decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-5) -> None:
        self.decay = decay

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0."""
        return 1 / (1 + self.decay * step)
