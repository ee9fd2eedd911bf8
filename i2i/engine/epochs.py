"""Schedules that change the learning rate once an epoch, number for number as the official CycleGAN code does."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from i2i.core.bounds import Count, Positive

Moment = Literal["start", "end"]


class Epochs:
    """Counts the changes of the rate before a step.

    Args:
        steps_per_epoch: an epoch's length, that is the images of the larger domain over the batch size.
        moment: the rate changes at the `start` of each epoch, also of the first, so that the last one of a linear
            decay has the rate 0 (CycleGAN, pix2pix), or at its `end` (CUT).
    """

    def __init__(self, steps_per_epoch: Positive, moment: Moment = "start") -> None:
        self.steps_per_epoch, self.first = steps_per_epoch, 1 if moment == "start" else 0

    def __call__(self, step: int) -> float:
        """Factor at a step, counted from 0; stays at 0 where the reference's would go below."""
        return max(0.0, self.factor(step // self.steps_per_epoch + self.first))

    def factor(self, changes: int) -> float:
        """The reference's factor after so many changes."""
        raise NotImplementedError


class EpochLinear(Epochs):
    """Constant for some epochs, then falling by equal amounts: `1 - max(0, e + first_epoch - constant) / (decay + 1)`.

    Args:
        steps_per_epoch: an epoch's length in steps.
        constant: epochs at the full rate (`n_epochs`).
        decay: epochs in which it falls (`n_epochs_decay`).
        first_epoch: number of the first epoch (`epoch_count`), above 1 where an earlier training goes on.
        moment: of an epoch when the rate changes.

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
    """Falls to a part of itself after each so many epochs.

    Args:
        steps_per_epoch: an epoch's length in steps.
        every: epochs between two falls (`lr_decay_iters`).
        factor_of_fall: what the rate is multiplied by.
        moment: of an epoch when the rate changes.

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
    """Half a cosine from 1 to 0 in some epochs, and back up in the next.

    Args:
        steps_per_epoch: an epoch's length in steps.
        period: epochs until the rate is 0 (`n_epochs`).
        moment: of an epoch when the rate changes.

    Source: junyanz/pytorch-CycleGAN-and-pix2pix, `lr_policy` cosine.
    """

    def __init__(self, steps_per_epoch: Positive, period: Positive = 100, moment: Moment = "start") -> None:
        super().__init__(steps_per_epoch, moment)
        self.period = period

    def factor(self, changes: int) -> float:
        return (1 + math.cos(math.pi * changes / self.period)) / 2
