"""Images from noise with a trained run whose translator generates them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from i2i.core.signature import named
from i2i.core.spelling import did_you_mean
from i2i.errors import I2IError


class Sampler(Protocol):
    """A translator that generates images from noise; `i2i sample` and `Loaded.sample` need no more.

    Its conditions are further parameters of `sample` with defaults. `targets` is empty if it translates no images.
    """

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """Return images [n, C, H, W] in [-1, 1], one for each seed >= 0, independent of the others."""


class _Run(Protocol):
    """The part of `i2i.Loaded` that is used here."""

    translator: Any


def sample_conditions(translator: Any) -> list[str]:
    """Return the names of the conditions that a translator's `sample` takes, such as `truncation`.

    Raises:
        I2IError: the translator generates no images from noise.
    """
    if not hasattr(translator, "sample"):
        raise I2IError(f"a {type(translator).__name__} translator generates no images from noise; use i2i translate")
    return [name for name in named(type(translator).sample) if name != "seeds"]


@torch.inference_mode()
def sample(loaded: _Run, seeds: Sequence[int], batch_size: int = 8, **condition: Any) -> Tensor:
    """Generate one image for each seed.

    Args:
        loaded: the trained run.
        seeds: numbers >= 0; the same seed gives the same image.
        batch_size: images that are generated together.
        condition: conditions of the translator's `sample`.

    Returns:
        [n, C, H, W] in [-1, 1], float32, on the CPU.

    Raises:
        I2IError: the translator generates no images from noise, or a condition or seed is not valid.
    """
    known = sample_conditions(loaded.translator)
    for name in condition:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes seeds only"
            raise I2IError(f"this run has no {name}: {takes}.{did_you_mean(name, known)}")
    if wrong := [seed for seed in seeds if not isinstance(seed, int) or seed < 0]:
        raise I2IError(f"seeds: expected whole numbers from 0 on, got {wrong[0]!r}")
    if not seeds:
        raise I2IError("seeds: expected at least one")
    translator: Any = loaded.translator
    parts = [
        translator.sample(list(seeds[start : start + batch_size]), **condition).float().cpu()
        for start in range(0, len(seeds), batch_size)
    ]
    return torch.cat(parts)
