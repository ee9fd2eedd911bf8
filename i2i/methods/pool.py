"""A pool of earlier fakes, so that a discriminator does not forget what a generator used to do."""

from __future__ import annotations

import random

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` images and swaps half of what it is given for older ones.

    Until it is full, images go in and come back unchanged. Then each image is, with probability one half, exchanged
    for a random older one.

    Source: Shrivastava et al., CVPR 2017, arXiv:1612.07828, section 2.3; as CycleGAN's code does it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor, draws: random.Random) -> Tensor:
        """Gives as many images [B, C, H, W] as it takes.

        Args:
            draws: where the decisions come from: per image and only once the pool is full, one `uniform(0, 1)`
                (swap above one half), then one `randint` for the place.
        """
        if self.size == 0:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:
            self.images = []  # a resume with another size begins with an empty pool
        self.images = [image.to(images) for image in self.images]  # no copies but after a resume elsewhere
        given = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image.clone())
                given.append(image)
            elif draws.uniform(0, 1) > 0.5:
                place = draws.randint(0, self.size - 1)
                given.append(self.images[place])
                self.images[place] = image.clone()
            else:
                given.append(image)
        return torch.stack(given)
