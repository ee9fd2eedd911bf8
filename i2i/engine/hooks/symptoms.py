"""Measurements for the training diagnostics."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i.errors import I2IError

LOGITS = ("real_logits", "fake_logits")
STARVED = 0.1
"""Fraction of the time spent waiting for data above which it is reported."""
SHORT = 10.0
"""Seconds of waiting in total that are never reported, such as for the first images."""


def undecided(loss: nn.Module) -> float | None:
    """Return the adversarial loss of an undecided discriminator: the minimum over equal real and fake logits.

    Returns None for a loss that needs more than logits [B, 1, h, w] or has no such minimum.
    """
    method = getattr(loss, "discriminator", None)
    if method is None or tuple(inspect.signature(method).parameters) != LOGITS:
        return None
    try:
        with torch.no_grad():
            values = [float(method(level, level)) for level in torch.linspace(-4, 4, 161).view(-1, 1, 1, 1, 1)]
    except (I2IError, RuntimeError):  # a loss of several classes does not take one logit for each place
        return None
    least = min(values)
    return least if least > 0 and values.index(least) not in (0, len(values) - 1) else None


def spread(images: Tensor) -> float:
    """Return the mean absolute distance of images [n, 3, H, W] from their mean."""
    return float((images - images.mean(dim=0)).abs().mean())


def apart(first: Tensor, second: Tensor) -> float:
    """Return the mean absolute distance over all pairs of images of two batches [n, 3, H, W]."""
    return float((first[:, None] - second[None]).abs().mean())


def is_stuck(means: Sequence[float], tolerance: float = 1e-4) -> bool:
    """Return whether means are equal within a relative tolerance, which losses of random batches never are."""
    size = max(abs(value) for value in means)
    return max(means) - min(means) <= tolerance * size


def starved(seconds: float, waited: float, workers: int) -> str | None:
    """Return advice if steps wait for data for more than a tenth of the time, else None.

    Args:
        seconds: duration of the training.
        waited: seconds that its steps have waited for data.
        workers: number of data loader workers.
    """
    if waited < SHORT or waited <= STARVED * seconds:
        return None
    share = f"{waited / seconds:.0%} of the time was spent waiting for data"
    return f"{share}. Raise train.workers (now {workers}); data.cache and smaller files help too"
