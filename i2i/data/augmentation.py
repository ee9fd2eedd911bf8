"""Further augmentation of single pictures, by any of kornia's operators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from i2i.contracts import Augmentation


def augmented(image: Tensor, steps: Sequence[Augmentation], seed: int) -> Tensor:
    """One picture through all steps, with draws that follow from the seed alone.

    Args:
        image: [3, S, S] in [-1, 1].
        steps: of images [B, 3, S, S] in [0, 1], as kornia has them.

    Returns:
        image: of the same shape and range.
    """
    if not steps:
        return image
    batch = (image.unsqueeze(0) + 1) / 2
    with torch.random.fork_rng(devices=[]):  # kornia draws from torch's one generator, which must not notice
        torch.manual_seed(seed)
        for step in steps:
            batch = step(batch)
    return (batch.squeeze(0) * 2 - 1).clamp(-1, 1)
