"""Further augmentation of single images, by any of kornia's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.core.contracts import Augmentation

AugmentOn = Literal["workers", "device"]


def augment_image(image: Tensor, steps: Sequence[Augmentation], seed: int) -> Tensor:
    """Applies all steps to one image, with random numbers that follow from the seed alone.

    kornia draws on the CPU wherever the image is, so that the numbers are the same on every device.

    Args:
        image: [3, H, W] in [-1, 1], on any device.
        steps: each from images [B, 3, H, W] in [0, 1] to such images, as kornia has them.
        seed: of all random numbers.

    Returns:
        image: of the same shape and range.
    """
    if not steps:
        return image
    batch = (image.unsqueeze(0) + 1) / 2
    with torch.random.fork_rng(devices=[]):  # kornia draws from torch's global generator, which must not change
        torch.manual_seed(seed)
        for step in steps:
            batch = step(batch)
    return (batch.squeeze(0) * 2 - 1).clamp(-1, 1)


def augment_batch(images: Tensor, steps: Sequence[Augmentation], seeds: Tensor) -> Tensor:
    """Applies `augment_image` to each image of a batch.

    Args:
        images: [B, 3, H, W] in [-1, 1].
        steps: as for `augment_image`.
        seeds: [B], one for each image.

    Returns:
        images: of the same shape and range.
    """
    placed = [step.to(images.device) if isinstance(step, nn.Module) else step for step in steps]
    return torch.stack([augment_image(image, placed, seed) for image, seed in zip(images, seeds.tolist(), strict=True)])
