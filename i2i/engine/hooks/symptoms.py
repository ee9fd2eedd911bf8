"""What is measured to see whether a training is healthy."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LOGITS = ("real_logits", "fake_logits")
STARVED = 0.1
"""Share of the time in which steps wait for data, above which that is worth a word."""
SHORT = 10.0
"""Seconds of waiting that nobody minds, such as for the first images."""


def undecided(loss: nn.Module) -> float | None:
    """An adversarial loss of a discriminator that tells nothing apart: its least value when all logits are equal.

    None where the loss looks at more than logits, or has no least value.
    """
    method = getattr(loss, "discriminator", None)
    if method is None or tuple(inspect.signature(method).parameters) != LOGITS:
        return None
    with torch.no_grad():
        values = [float(method(level, level)) for level in torch.linspace(-4, 4, 161).view(-1, 1, 1, 1, 1)]
    least = min(values)
    return least if least > 0 and values.index(least) not in (0, len(values) - 1) else None


def spread(images: Tensor) -> float:
    """How much images [n, 3, H, W] differ from each other: mean absolute distance from their mean."""
    return float((images - images.mean(dim=0)).abs().mean())


def apart(one: Tensor, other: Tensor) -> float:
    """How much images of two batches differ on average, whichever are compared."""
    return float((one[:, None] - other[None]).abs().mean())


def is_stuck(means: Sequence[float], tolerance: float = 1e-4) -> bool:
    """Whether all of some means are the same within a share of their size, which losses of drawn samples never are."""
    size = max(abs(value) for value in means)
    return max(means) - min(means) <= tolerance * size


def starved(seconds: float, waited: float, workers: int) -> str | None:
    """What to do when steps wait for their data for more than a tenth of the time; None where they do not.

    Args:
        seconds: that the training has taken.
        waited: that its steps have waited in all.
        workers: how many processes read.
    """
    if waited < SHORT or waited <= STARVED * seconds:
        return None
    share = f"{waited / seconds:.0%} of the time went into waiting for data"
    return f"{share}. Raise train.workers (now {workers}); data.cache and smaller files help too"
