"""Learning rate schedules per epoch, numerically identical to the official CycleGAN implementation."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from i2i.core.bounds import Count, Positive

Moment = Literal["start", "end"]


class Epochs:
    """Base class of schedules that change the learning rate once per epoch.

    Args:
        steps_per_epoch: length of an epoch in steps: images of the larger domain divided by the batch size.
        moment: when the learning rate changes: at the `start` of each epoch including the first, so that a linear
            decay ends with an epoch at learning rate 0, or at its `end`, so that all epochs train.
    """

    def __init__(self, steps_per_epoch: Positive, moment: Moment = "start") -> None:
        self.steps_per_epoch, self.first = steps_per_epoch, 1 if moment == "start" else 0

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0; negative factors are clamped to 0."""
        return max(0.0, self.factor(step // self.steps_per_epoch + self.first))

    def factor(self, changes: int) -> float:
        """Return the factor of the official implementation after a number of changes."""
        raise NotImplementedError


class EpochLinear(Epochs):
    """Linear decay after constant epochs: `1 - max(0, e + first_epoch - constant) / (decay + 1)`.

    Args:
        steps_per_epoch: length of an epoch in steps.
        constant: number of epochs at the full learning rate (`n_epochs`).
        decay: number of epochs of the decay (`n_epochs_decay`).
        first_epoch: number of the first epoch (`epoch_count`), above 1 to continue an earlier training.
        moment: when in an epoch the learning rate changes, see `Epochs`.

    Source: junyanz/pytorch-CycleGAN-and-pix2pix, `lr_policy` linear.
    """

    def __init__(
        self,
        steps_per_epoch: Positive,
        constant: Count = 100,
        decay: Count = 100,
        first_epoch: Count = 1,
        moment: Moment = "start",
    ) -> None:
        super().__init__(steps_per_epoch, moment)
        self.constant, self.decay, self.first_epoch = constant, decay, first_epoch

    def factor(self, changes: int) -> float:
        return 1 - max(0, changes + self.first_epoch - self.constant) / (self.decay + 1)


class EpochStep(Epochs):
    """Step decay: multiplies the learning rate by a factor every few epochs.

    Args:
        steps_per_epoch: length of an epoch in steps.
        every: number of epochs between two decays (`lr_decay_iters`).
        factor_of_fall: factor of each decay in (0, 1].
        moment: when in an epoch the learning rate changes, see `Epochs`.

    Source: junyanz/pytorch-CycleGAN-and-pix2pix, `lr_policy` step.
    """

    def __init__(
        self,
        steps_per_epoch: Positive,
        every: Positive = 50,
        factor_of_fall: Annotated[float, Field(gt=0, le=1)] = 0.1,
        moment: Moment = "start",
    ) -> None:
        super().__init__(steps_per_epoch, moment)
        self.every, self.factor_of_fall = every, factor_of_fall

    def factor(self, changes: int) -> float:
        return float(self.factor_of_fall ** (changes // self.every))


class EpochCosine(Epochs):
    """Cosine annealing from 1 to 0 in `period` epochs, and back to 1 in the next `period` epochs.

    Args:
        steps_per_epoch: length of an epoch in steps.
        period: number of epochs until the learning rate is 0 (`n_epochs`).
        moment: when in an epoch the learning rate changes, see `Epochs`.

    Source: junyanz/pytorch-CycleGAN-and-pix2pix, `lr_policy` cosine.
    """

    def __init__(self, steps_per_epoch: Positive, period: Positive = 100, moment: Moment = "start") -> None:
        super().__init__(steps_per_epoch, moment)
        self.period = period

    def factor(self, changes: int) -> float:
        return (1 + math.cos(math.pi * changes / self.period)) / 2
