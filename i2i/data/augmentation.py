"""Further augmentation of single images, by any of kornia's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.core.contracts import Augmentation

Place = Literal["workers", "device"]


def augmented(image: Tensor, steps: Sequence[Augmentation], seed: int) -> Tensor:
    """One image through all steps, with draws that follow from the seed alone.

    kornia draws on the CPU wherever the image is, so that the draws are the same on every device.

    Args:
        image: [3, S, S] in [-1, 1], on any device.
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


def all_augmented(images: Tensor, steps: Sequence[Augmentation], seeds: Tensor) -> Tensor:
    """A batch [B, 3, S, S] as `augmented` makes each of its images from its own seed, [B]."""
    placed = [step.to(images.device) if isinstance(step, nn.Module) else step for step in steps]
    return torch.stack([augmented(image, placed, seed) for image, seed in zip(images, seeds.tolist(), strict=True)])
