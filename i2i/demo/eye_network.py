"""A small network that measures the colour of the eyes in drawn portraits, also in generated ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.randomness import seed_of
from i2i.demo.attribute_network import HELD_OUT, NOISE, drawn_people
from i2i.demo.attributes import EYE_COLORS, eye_color
from i2i.demo.character import rgb
from i2i.demo.label_map import CLASSES, label_map

MAPS = 4
"""Number of attention maps: the irises are a few pixels, with pupils and lights in them."""
EYE_NUMBERS = ("eye_red", "eye_green", "eye_blue")
"""Names of the attributes that the network measures."""


class EyeColorNetwork(nn.Module):
    """Measures the colour of the irises in anime drawings of 32 px; others are resized.

    Attention maps find the irises, and the colour follows from the mean colours under them. What it measures is thus
    the colour of pixels, not a pattern elsewhere in the image.

    Args:
        channels: of its convolutions.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, dilation in ((3, 1), (channels, 2), (channels, 4), (channels, 1)):
            layers += [nn.Conv2d(inputs, channels, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        self.attention = nn.Sequential(*layers, nn.Conv2d(channels, MAPS, 1))
        self.color = nn.Sequential(nn.Linear(3 * MAPS, 32), nn.ReLU(), nn.Linear(32, 3))
        self.register_buffer("center", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))

    def forward(self, image: Tensor) -> Tensor:
        """Return the standardized colours [B, 3] of the eyes.

        Args:
            image: [B, 3, H, W] in [-1, 1].
        """
        if image.shape[2:] != (32, 32):
            image = F.interpolate(image, (32, 32), mode="bilinear", antialias=True, align_corners=False)
        return self.colors(image, self.weights(image))

    def weights(self, image: Tensor) -> Tensor:
        """Return the attention maps [B, MAPS, pixels] of images [B, 3, 32, 32]; each sums to 1."""
        found: Tensor = self.attention(image).flatten(2).softmax(2)
        return found

    def colors(self, image: Tensor, weights: Tensor) -> Tensor:
        """Return the standardized colours [B, 3] of the eyes from the mean colours under attention maps."""
        means = torch.einsum("bkp,bcp->bkc", weights, image.flatten(2))
        found: Tensor = self.color(means.flatten(1))
        return found

    @torch.no_grad()
    def measure(self, image: Tensor) -> Tensor:
        """Return the colours [B, 3] of the eyes, in [0, 1] but unbounded."""
        colors: Tensor = self(image) * self.spread + self.center
        return colors

    @torch.no_grad()
    def names(self, image: Tensor) -> list[str]:
        """Return the name of the nearest eye colour of each image."""
        known = torch.tensor([rgb(code) for code in EYE_COLORS])
        names = list(EYE_COLORS.values())
        return [names[int(nearest)] for nearest in torch.cdist(self.measure(image), known).argmin(1)]


def train_eye_network(count: int = 1600, epochs: int = 10, seed: int = 0, poses: float = 1) -> EyeColorNetwork:
    """Train the network on drawings; about a minute on one core.

    The label maps of the drawings say where the attention belongs: from the colours alone some seeds did not find it.

    Args:
        count: number of drawings.
        epochs: passes over them.
        seed: of characters, weights and order.
        poses: factor of the spread of places and tilts, as of `portraits`.
    """
    people, images = drawn_people(range(1, 2 * count, 2), seed, poses=poses)
    colors = torch.tensor([person.eyes for person in people])
    eyes = torch.from_numpy(np.stack([label_map(person, 32) == CLASSES.index("eyes") for person in people]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "eyes"))
        network = EyeColorNetwork()
        network.center.copy_(colors.mean(0)), network.spread.copy_(colors.std(0))
        colors = (colors - network.center) / network.spread
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
        batches = epochs * count // 32
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=batches)
        for _ in range(batches):
            chosen = torch.randint(count, (32,))
            mirror = torch.rand(32, 1, 1) < 0.5
            image = torch.where(mirror[:, None], images[chosen].flip(3), images[chosen])
            inside = torch.where(mirror, eyes[chosen].flip(2), eyes[chosen])
            # Where the eyes are must not follow from colours, or generated faces would have that of the eyes.
            tint = 0.5 * torch.randn(32, 3, 1, 1) * (torch.rand(32, 1, 1, 1) < 0.5)
            image = image + tint * ~inside[:, None] + NOISE * torch.rand(32, 1, 1, 1) * torch.randn_like(image)
            weights = network.weights(image)
            share = (weights * inside.flatten(1)[:, None]).sum(2).clamp(min=1e-3)
            loss = F.smooth_l1_loss(network.colors(image, weights), colors[chosen], beta=0.5) - 0.3 * share.log().mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def held_out_eyes(network: EyeColorNetwork, count: int = 500, seed: int = 0) -> float:
    """Return the share of drawings that a network was not trained on whose eye colour it names right."""
    people, images = drawn_people(range(HELD_OUT, HELD_OUT + count), seed)
    return sum(found == eye_color(one) for found, one in zip(network.names(images), people, strict=True)) / count
