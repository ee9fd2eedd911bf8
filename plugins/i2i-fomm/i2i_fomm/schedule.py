"""The schedule `milestones`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Lt

Fraction = Annotated[float, Gt(0), Lt(1)]


class Milestones:
    """Learning rate that is multiplied by a factor at certain parts of the training.

    Args:
        steps: total number of steps.
        at: fractions of the steps after which the rate falls.
        gamma: factor at each of them.

    Source: torch's MultiStepLR as the First Order Motion Model uses it, at epochs 60 and 90 of 100.
    """

    def __init__(self, steps: int, at: tuple[Fraction, ...] = (0.6, 0.9), gamma: Annotated[float, Gt(0)] = 0.1) -> None:
        self.steps, self.at, self.gamma = steps, at, gamma

    def __call__(self, step: int) -> float:
        """Return the factor of the learning rate at a step, counted from 0."""
        return float(self.gamma ** sum(step >= fraction * self.steps for fraction in self.at))
