"""Training of classifiers of pixels on a few labelled images, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from i2i.core.randomness import seed_of
from i2i.errors import I2IError
from i2i_edit.pixel_classifier import PixelClassifier, PixelEnsemble
from i2i_edit.pixel_features import features_at

BATCH = 64
"""Pixels in a batch."""
LEARNING_RATE = 1e-3
FIRST_EPOCHS = 4
"""Number of epochs before losses are compared."""
PATIENCE = 50
"""Batches without a smaller loss after which a member is finished."""
MAX_EPOCHS = 100


class LabelledPixels:
    """Pixels of labelled images, of which as many are drawn as fit into memory.

    The official code keeps the features of all pixels, 160 GB for 16 images of 512 px.

    Args:
        features: for each image, a function that returns the features [1, c, h, w] of all layers.
        labels: class numbers [N, H, W] of the images.
        memory: bytes for the features of drawn pixels, at least one for each image.
    """

    def __init__(self, features: Sequence[Callable[[], list[Tensor]]], labels: Tensor, memory: int = 2**30) -> None:
        self.features, self.labels = list(features), labels
        sample = self.features[0]()
        self.channels = sum(one.shape[1] for one in sample)
        pixels = labels[0].numel()
        affordable = memory // (len(labels) * self.channels * sample[0].element_size())
        self.per_image = max(min(pixels, affordable), 1)
        self.holds_all = self.per_image == pixels
        self._kept: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return features [n, c] and class numbers [n] of pixels, equally many of each image; all if they fit."""
        if self._kept is not None:
            return self._kept
        size = (self.labels.shape[1], self.labels.shape[2])
        rows, classes = [], []
        for make, labels in zip(self.features, self.labels, strict=True):
            flat = labels.flatten()
            chosen = torch.arange(len(flat))
            if not self.holds_all:
                chosen = torch.randperm(len(flat), generator=generator)[: self.per_image]
            features = make()
            rows.append(features_at(features, size, chosen.to(features[0].device)))
            classes.append(flat[chosen])
        drawn = torch.cat(rows), torch.cat(classes).to(rows[0].device)
        if self.holds_all:
            self._kept = drawn
        return drawn


def without_small_classes(labels: Tensor, min_pixels: int = 30) -> Tensor:
    """Return class numbers [N, H, W] in which classes of too few pixels of an image became class 0 of that image.

    Args:
        labels: class numbers.
        min_pixels: the official code requires 30 of 512 · 512 pixels.
    """
    labels = labels.clone()
    for image in labels:
        for number, count in enumerate(image.flatten().bincount()):
            if 0 < count < min_pixels:
                image[image == number] = 0
    return labels


def train_member(
    pixels: LabelledPixels, num_classes: int, seed: int, max_epochs: int = MAX_EPOCHS, patience: int = PATIENCE
) -> PixelClassifier:
    """Train one classifier with Adam on batches of 64 pixels until its loss stops falling.

    From the fifth epoch on, training ends after more than `patience` batches in a row without a new smallest loss.

    Args:
        pixels: labelled ones.
        num_classes: number of classes.
        seed: of the initial weights, the order, and the drawn pixels.
        max_epochs: largest number of epochs.
        patience: number of batches.
    """
    draws = torch.Generator().manual_seed(seed)
    member = PixelClassifier(pixels.channels, num_classes)
    member.reset_parameters_(draws)
    member.train()
    best, waited, optimizer = float("inf"), 0, None
    for epoch in range(max_epochs):
        x, y = pixels.draw(draws)
        if optimizer is None:
            member.to(x)
            optimizer = torch.optim.Adam(member.parameters(), LEARNING_RATE)
        for batch in torch.randperm(len(x), generator=draws).to(x.device).split(BATCH):
            if len(batch) == 1:  # batch norm has no variance of one pixel
                continue
            loss = nn.functional.cross_entropy(member(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if epoch >= FIRST_EPOCHS:
                value = float(loss.detach())
                best, waited = (value, 0) if value < best else (best, waited + 1)
                if waited > patience:
                    return member.eval()
    return member.eval()


def train_ensemble(
    pixels: LabelledPixels,
    num_classes: int,
    members: int = 10,
    seed: int = 0,
    progress: Callable[[int], Any] = lambda done: None,
    **options: int,
) -> PixelEnsemble:
    """Train several classifiers, each with its own initial weights and order.

    Args:
        pixels: labelled ones.
        num_classes: number of classes.
        members: number of classifiers.
        seed: of everything that is drawn.
        progress: called after each member with the number of finished ones.
        options: `max_epochs` and `patience` of `train_member`.

    Raises:
        I2IError: labels of one class only.

    Source: Zhang et al., DatasetGAN, CVPR 2021, arXiv:2104.06490.
    """
    if len(pixels.labels.unique()) < 2:
        raise I2IError(f"expected labels of at least two classes, got one class in {len(pixels.labels)} label maps")
    ensemble = PixelEnsemble(pixels.channels, num_classes, members)
    for index in range(members):
        ensemble.members[index] = train_member(pixels, num_classes, seed_of(seed, f"member {index}"), **options)
        progress(index + 1)
    return ensemble.requires_grad_(False).eval()
