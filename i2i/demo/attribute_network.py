"""A small network that measures the attributes of drawn portraits, also of generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.randomness import seed_of
from i2i.data.pixels import to_tensor
from i2i.demo.anime import anime
from i2i.demo.attributes import NUMBERS, TAGS, attributes
from i2i.demo.character import Character
from i2i.demo.photo import photo
from i2i.demo.portraits import Drawing

MIRRORED = ("x", "tilt")
"""Numbers that change their sign when a drawing is mirrored."""
HELD_OUT = 2**42
"""Characters with these numbers and above are never trained on."""
NOISE = 0.08
"""Standard deviation of the noise in training, so that results on generated images do not depend on single pixels."""


class AttributeNetwork(nn.Module):
    """Measures `TAGS` and `NUMBERS` of `i2i.demo.attributes` in anime drawings of 32 px; others are resized.

    Args:
        channels: of the first layer.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = (3, channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.GroupNorm(4, outputs), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.head = nn.Sequential(nn.Linear(widths[-1] * 16, 128), nn.ReLU(), nn.Linear(128, len(TAGS) + len(NUMBERS)))
        self.register_buffer("center", torch.zeros(len(NUMBERS)))
        self.register_buffer("spread", torch.ones(len(NUMBERS)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of the tags [B, tags], and the standardized numbers [B, numbers].

        Args:
            image: [B, 3, H, W] in [-1, 1].
        """
        if image.shape[2:] != (32, 32):
            image = F.interpolate(image, (32, 32), mode="bilinear", antialias=True, align_corners=False)
        found: Tensor = self.head(self.features(image))
        return found[:, : len(TAGS)], found[:, len(TAGS) :]

    @torch.no_grad()
    def measure(self, image: Tensor) -> dict[str, Tensor]:
        """Return all attributes [B] by name: probabilities of the tags, and the numbers."""
        parts = [self(part) for part in torch.split(image, 64)]
        tags, numbers = (torch.cat(values) for values in zip(*parts, strict=True))
        values = torch.cat([tags.sigmoid(), numbers * self.spread + self.center], 1)
        return dict(zip((*TAGS, *NUMBERS), values.unbind(1), strict=True))


def drawn_people(
    numbers: range,
    seed: int = 0,
    size: int = 32,
    poses: float = 1,
    zoom: float = 1,
    drawing: Drawing = anime,
) -> tuple[list[Character], Tensor]:
    """Return characters and their drawings [n, 3, size, size] in [-1, 1].

    Args:
        numbers: of the characters.
        seed: of all characters.
        size: side in pixels.
        poses: factor of the spread of places and tilts, as of `portraits`.
        zoom: factor of the size, as of `portraits`.
        drawing: `anime` or `photo`.
    """
    people = [Character.drawn_from([seed, number]).posed(poses, zoom) for number in numbers]
    return people, torch.stack([to_tensor(drawing(person, size)) for person in people]) * 2 - 1


def attributes_of(people: Sequence[Character]) -> Tensor:
    """Return the attributes [n, tags + numbers] of characters."""
    return torch.from_numpy(np.array([list(attributes(person).values()) for person in people], np.float32))


def train_attribute_network(
    count: int = 2400,
    epochs: int = 16,
    seed: int = 0,
    poses: float = 1,
    zoom: float = 1,
    photos: bool = False,
) -> AttributeNetwork:
    """Train the network on drawings; about 40 s on two cores.

    Args:
        count: number of drawings.
        epochs: passes over them.
        seed: of characters, weights and order.
        poses: factor of the spread of places and tilts, as of `portraits`.
        zoom: factor of the size, as of `portraits`.
        photos: whether half of the drawings are photos, so that it measures both domains of `portraits`.
    """
    drawings = (
        ((range(0, count, 2), photo), (range(1, count, 2), anime)) if photos else ((range(1, 2 * count, 2), anime),)
    )
    parts = [drawn_people(numbers, seed, poses=poses, zoom=zoom, drawing=drawing) for numbers, drawing in drawings]
    truth, images = torch.cat([attributes_of(people) for people, _ in parts]), torch.cat([drawn for _, drawn in parts])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "attributes"))
        network = AttributeNetwork()
        tags, numbers = truth[:, : len(TAGS)], truth[:, len(TAGS) :]
        network.center.copy_(numbers.mean(0)), network.spread.copy_(numbers.std(0))
        numbers = (numbers - network.center) / network.spread
        # Rare tags count as much as frequent ones.
        rarity = ((1 - tags.mean(0)) / tags.mean(0)).clamp(1, 8)
        signs = torch.tensor([-1.0 if name in MIRRORED else 1.0 for name in NUMBERS])
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
        batches = epochs * count // 64
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=batches)
        for _ in range(batches):
            chosen = torch.randint(count, (64,))
            mirror = torch.rand(64, 1) < 0.5
            image = torch.where(mirror[:, :, None, None], images[chosen].flip(3), images[chosen])
            logits, found = network(image + NOISE * torch.rand(64, 1, 1, 1) * torch.randn_like(image))
            wanted = torch.where(mirror, numbers[chosen] * signs, numbers[chosen])
            right = F.binary_cross_entropy_with_logits(logits, tags[chosen], pos_weight=rarity)
            loss = right + 0.5 * F.mse_loss(found, wanted)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def held_out_accuracy(network: AttributeNetwork, count: int = 500, seed: int = 0, zoom: float = 1) -> dict[str, float]:
    """Return how well a network measures drawings that it was not trained on, by attribute.

    Args:
        network: what is tested.
        count: number of drawings.
        seed: of their characters.
        zoom: factor of their size, as in training.

    Returns:
        For a tag the mean of the shares of those with it and of those without it that are found; for a number the
        correlation with the true values.
    """
    people, images = drawn_people(range(HELD_OUT, HELD_OUT + count), seed, zoom=zoom)
    truth = attributes_of(people)
    result = {}
    for (name, found), true in zip(network.measure(images).items(), truth.unbind(1), strict=True):
        if name in TAGS:
            right = ((found > 0.5) == (true > 0.5)).float()
            result[name] = float((right[true > 0.5].mean() + right[true < 0.5].mean()) / 2)
        else:
            result[name] = float(torch.corrcoef(torch.stack([found, true]))[0, 1])
    return result
