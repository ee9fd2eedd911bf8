"""Learning rate schedules: factors that depend on the step alone, so that a resumed run needs no state."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field


class Constant:
    """Constant learning rate."""

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        return 1.0


class LinearDecay:
    """Linear decay to 0 at the last step, after a constant part.

    Args:
        steps: total number of steps.
        start: fraction of the steps before the decay, in [0, 1].

    Source: U-GAT-IT (arXiv:1907.10830) and CycleGAN (arXiv:1703.10593), both with `start` 0.5. For an odd number of
    steps the official implementation of U-GAT-IT ends below 0; here the factor is clamped to 0.
    """

    def __init__(self, steps: int, start: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None:
        self.begin = math.floor(steps * start)
        self.length = max(1, math.floor(steps * (1 - start)))

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        return max(0.0, 1 - max(0, step + 1 - self.begin) / self.length)


class EpochDecay:
    """Linear decay per epoch after a constant part; the last epoch still has a positive learning rate.

    Args:
        steps: total number of steps.
        epochs: number of epochs into which the steps are divided.
        start: fraction of the epochs before the decay, in [0, 1].

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
        """Return the factor of the learning rate at a step, counted from 0."""
        finished = min(step, self.steps - 1) * self.epochs // self.steps
        return 1 - max(0, finished + 1 - self.begin) / (self.epochs - self.begin + 1)


class Cosine:
    """Cosine annealing from 1 to `floor`, after a linear warm-up.

    Args:
        steps: total number of steps.
        warmup: number of steps in which the learning rate rises linearly from near 0.
        floor: factor at the last step, in [0, 1].

    Source: Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983, equation 5, without restarts.
    """

    def __init__(
        self, steps: int, warmup: Annotated[int, Field(ge=0)] = 0, floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    ) -> None:
        self.steps, self.warmup, self.floor = steps, warmup, floor

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class StepDecay:
    """Step decay: multiplies the learning rate by a factor every few steps.

    Args:
        every: number of steps between two decays.
        gamma: factor of each decay in (0, 1].

    Source: MUNIT and UNIT (NVlabs/MUNIT a82e222), 0.5 every 100,000 steps. Their scheduler steps before the first
    update, so each decay comes one step early: update number `every` is the first with the lower learning rate.
    """

    def __init__(
        self, every: Annotated[int, Field(ge=1)] = 100_000, gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    ) -> None:
        self.every, self.gamma = every, gamma

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        return float(self.gamma ** ((step + 1) // self.every))


class Inverse:
    """Inverse time decay: `1 / (1 + decay * step)`.

    Args:
        decay: speed of the decay; the learning rate is halved at step `1 / decay`.

    Source: AdaIN style transfer (arXiv:1703.06868), whose official implementation uses 5e-5.
    """

    def __init__(self, decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-5) -> None:
        self.decay = decay

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        return 1 / (1 + self.decay * step)
