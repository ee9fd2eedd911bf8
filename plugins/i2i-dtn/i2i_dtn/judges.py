"""What digit a translation shows, as somebody reads it who has nothing to do with f, and whether it looks written.

Both sides are needed. A generator that paints one and the same written digit looks right, and one that copies its input
keeps every label.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_dtn.digits import Digits
from i2i_dtn.features import LabelEncoder

WORLD = 1_000_003
"""Seed of the digits that a reader learns from, so that it has seen none that a translator learns from."""


class TransferFigures(NamedTuple):
    """What is found over all images.

    Args:
        label: share whose digit, as a reader of written digits reads it, is the source's.
        domain: share that is white on black.
    """

    label: float
    domain: float


class Reader:
    """A classifier of domain b's digits, trained on digits of its own.

    Args:
        size: the images' side in pixels.
        steps: of training, with 32 images each. Noise is laid over them, for a reader should look at the digit, and
            not at the faint grain that any network leaves.
    """

    def __init__(self, size: int = 32, steps: int = 200) -> None:
        world = Digits(size, seed=WORLD)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(WORLD)
            self.network = LabelEncoder(channels=16, features=64, classes=10, image_size=size)
            optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
            for step in range(steps):
                batch = world.written(range(32 * step, 32 * step + 32))
                noisy = batch["b"] + torch.randn_like(batch["b"]) * 0.4 * torch.rand(32, 1, 1, 1)
                loss = F.cross_entropy(self.network(noisy).logits["label"], batch["labels"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.network.eval()

    @torch.no_grad()
    def read(self, image: Tensor) -> Tensor:
        """The digits that images [n, 3, size, size] in [-1, 1] show, [n]."""
        return self.network(image).logits["label"].argmax(1)

    def measure(self, made: Tensor, labels: Tensor) -> TransferFigures:
        """Both figures.

        Args:
            made: [n, 3, size, size] in [-1, 1], translations to domain b.
            labels: [n], of what they were made from.
        """
        right = (self.read(made) == labels).double().mean()
        return TransferFigures(float(right), float(looks_written(made).double().mean()))


def looks_written(image: Tensor) -> Tensor:
    """Whether images [n, 3, H, W] in [-1, 1] are white on black, [n].

    The paper (the median pixel) is nearly black, the ink (the brightest twentieth) bright, and its colour grey.
    """
    light = (image.double() + 1) / 2
    grey = light.mean(1).flatten(1)
    ink = grey >= grey.quantile(0.95, dim=1, keepdim=True)
    spread = (light.amax(1) - light.amin(1)).flatten(1)
    colour = (spread * ink).sum(1) / ink.sum(1)
    bright = (grey * ink).sum(1) / ink.sum(1)
    return (grey.median(1).values < 0.1) & (bright > 0.6) & (colour < 0.15)
