"""A pool of earlier fakes, so that a discriminator does not forget what a generator used to produce."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Pool of up to `size` images that exchanges half of what it is given for older ones.

    Until it is full, images are stored and returned unchanged. Then each image is, with probability one half, exchanged
    for a random older one.

    The images belong to one process, so they are no buffers: checkpoints hold them per process, through `local_state`.

    Args:
        size: number of images; 0 returns all images unchanged.

    Source: Shrivastava et al., CVPR 2017, arXiv:1612.07828, section 2.3; as in CycleGAN's code.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor, draws: random.Random) -> Tensor:
        """Return as many images [B, C, H, W] as are given.

        Args:
            images: new images.
            draws: source of the decisions: once the pool is full, for each image one `uniform(0, 1)` (exchange above
                one half), then one `randint` for the index.
        """
        if self.size == 0:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:
            self.images = []  # a run resumed with another image size starts with an empty pool
        self.images = [image.to(images) for image in self.images]  # copies only after a resume on another device
        returned = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image.clone())
                returned.append(image)
            elif draws.uniform(0, 1) > 0.5:
                index = draws.randint(0, self.size - 1)
                returned.append(self.images[index])
                self.images[index] = image.clone()
            else:
                returned.append(image)
        return torch.stack(returned)

    def local_state(self) -> dict[str, Tensor]:
        """Return the stored images, [n, C, H, W]."""
        return {"images": torch.stack(self.images)} if self.images else {}

    def load_local_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `local_state` returned; an empty mapping empties the pool."""
        self.images = list(state.get("images", ()))
