"""Metrics of translated digits: their label, by a classifier that is independent of f, and their domain.

Both are needed: a generator that always returns the same written digit is right in the domain, and the identity
preserves every label.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_dtn.digits import Digits
from i2i_dtn.networks import LabelEncoder

SEED = 1_000_003
"""Seed of the digits that the classifier is trained on, none of which a translator is trained on."""


class TransferMetrics(NamedTuple):
    """Metrics over a set of images.

    Args:
        label: share of images whose classified digit is that of the source.
        domain: share of images that are white on black.
    """

    label: float
    domain: float


class DigitClassifier:
    """A classifier of domain b's digits, trained in the constructor on digits with another seed.

    Noise is added to the training images, so that it does not depend on the faint noise of generated images.

    Args:
        size: side of the images in pixels.
        steps: number of training steps, with 32 images each.
    """

    def __init__(self, size: int = 32, steps: int = 200) -> None:
        digits = Digits(size, seed=SEED)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            self.network = LabelEncoder(channels=16, features=64, classes=10, image_size=size)
            optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
            for step in range(steps):
                batch = digits.written(range(32 * step, 32 * step + 32))
                noisy = batch["b"] + torch.randn_like(batch["b"]) * 0.4 * torch.rand(32, 1, 1, 1)
                loss = F.cross_entropy(self.network(noisy).logits["label"], batch["labels"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.network.eval()

    @torch.no_grad()
    def classify(self, image: Tensor) -> Tensor:
        """Return the digits [n] of images [n, 3, size, size] in [-1, 1]."""
        return self.network(image).logits["label"].argmax(1)

    def measure(self, image: Tensor, labels: Tensor) -> TransferMetrics:
        """Return both metrics.

        Args:
            image: translations to domain b, [n, 3, size, size] in [-1, 1].
            labels: labels of their sources, [n].
        """
        correct = (self.classify(image) == labels).double().mean()
        return TransferMetrics(float(correct), float(is_white_on_black(image).double().mean()))


def is_white_on_black(image: Tensor) -> Tensor:
    """Return whether images [n, 3, H, W] in [-1, 1] are white on black, [n].

    The median pixel must be nearly black, and the brightest twentieth bright and without colour.
    """
    intensity = (image.double() + 1) / 2
    grey = intensity.mean(1).flatten(1)
    ink = grey >= grey.quantile(0.95, dim=1, keepdim=True)
    saturation = (intensity.amax(1) - intensity.amin(1)).flatten(1)
    colour = (saturation * ink).sum(1) / ink.sum(1)
    bright = (grey * ink).sum(1) / ink.sum(1)
    return (grey.median(1).values < 0.1) & (bright > 0.6) & (colour < 0.15)
