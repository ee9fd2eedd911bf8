"""What augmentations must do, those of data sets and those in front of discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # this file stays free of torch, so that `i2i --help` is fast
    from torch import Generator, Tensor


class Augmentation(Protocol):
    """Changes a batch of images [B, 3, H, W], as kornia's augmentations do."""

    def __call__(self, image: Tensor) -> Tensor: ...


class DiscriminatorAugmentation(Protocol):
    """Changes images [B, C, H, W] in front of a discriminator, differentiably.

    One that adapts to the discriminator has a method `observe_(*logits)`, which is given the logits of real images, a
    tensor for each head, once in every phase that trains the discriminator.
    """

    def __call__(self, image: Tensor, draws: Generator) -> Tensor:
        """Images [B, C, H, W] of the same range, with random numbers from `draws`, a generator on the CPU, alone."""
