"""A network that measures drawn squares and circles, also generated ones: form, place, side and colour."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.demo.shapes import Shapes, rgb

SHAPE = ("form", "x", "y", "side")
COLOR = ("red", "green", "blue")
HELD_OUT = 2**61
"""Number of the first object of `Shapes.pairs`, which training never sees."""
NOISE = 0.1
"""Largest standard deviation of the noise in training, so that single pixels of generated images do not matter."""


class ShapeNetwork(nn.Module):
    """Measures images of one size.

    Args:
        size: height and width of the images in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 24, 3, padding=1), nn.GroupNorm(4, 24), nn.ReLU()),
            *(nn.Conv2d(24, 48, 4, 2, 1), nn.GroupNorm(4, 48), nn.ReLU()),
            *(nn.Conv2d(48, 48, 4, 2, 1), nn.GroupNorm(4, 48), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(48 * (size // 4) ** 2, 96), nn.ReLU(), nn.Linear(96, len(SHAPE + COLOR))),
        )

    @torch.no_grad()
    def measure(self, image: Tensor) -> dict[str, Tensor]:
        """Return all attributes [B]: `form` is the probability of a circle; lengths are shares of the image's side."""
        values = torch.cat([self.layers(part) for part in image.split(64)])
        values[:, 0] = values[:, 0].sigmoid()
        return dict(zip(SHAPE + COLOR, values.unbind(1), strict=True))

    @torch.no_grad()
    def features(self, image: Tensor) -> Tensor:
        """Return the last hidden features [B, 96]."""
        return torch.cat([self.layers[:-1](part) for part in image.split(64)])

    def classes(self, image: Tensor) -> Tensor:
        """Return the class [B] of images: 0 for a red square, 1 for a blue circle, -1 for anything else."""
        found = self.measure(image)
        circle = found["form"] > 0.5
        red = found["red"] - torch.maximum(found["green"], found["blue"]) > 0.2
        blue = found["blue"] - torch.maximum(found["green"], found["red"]) > 0.2
        return torch.where(circle & blue, 1, torch.where(~circle & red, 0, -1))


def drawn(size: int, numbers: range, seed: int) -> tuple[Tensor, Tensor]:
    """Return images [2 n, 3, size, size] of objects of any colour, squares first, and their attributes."""
    shapes = Shapes(size, color_a="random", color_b="random", seed=seed)
    images = torch.cat([shapes._drawn(domain, numbers) for domain in "ab"])
    objects = [shapes.object(number) for number in numbers]
    truth = [[form, *one.center, one.side, *rgb("random", one)] for form in (0, 1) for one in objects]
    return images, torch.tensor(truth)


def shape_network(size: int, count: int = 2000, epochs: int = 10) -> tuple[ShapeNetwork, dict[str, float]]:
    """Train the network, and return it with its accuracy on held-out objects.

    Returns:
        The network; for `form` and `class` the share that is right, for numbers the correlation with those drawn.
    """
    images, truth = drawn(size, range(count), seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ShapeNetwork(size)
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * -(-len(images) // 64))
        for _ in range(epochs):
            for chosen in torch.randperm(len(images)).split(64):
                seen, wanted = images[chosen], truth[chosen]
                found = network.layers(seen + NOISE * torch.rand(len(seen), 1, 1, 1) * torch.randn_like(seen))
                loss = F.binary_cross_entropy_with_logits(found[:, 0], wanted[:, 0])
                loss = loss + 20 * F.mse_loss(found[:, 1:], wanted[:, 1:])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    network.eval().requires_grad_(False)
    images, truth = drawn(size, range(HELD_OUT, HELD_OUT + 250), seed=0)
    accuracy = {}
    for (name, found), true in zip(network.measure(images).items(), truth.unbind(1), strict=True):
        right = ((found > 0.5) == (true > 0.5)).float().mean()
        accuracy[name] = float(right if name == "form" else torch.corrcoef(torch.stack([found, true]))[0, 1])
    pairs = Shapes(size).pairs(250)
    right = [(network.classes(pairs[domain]) == number).float().mean() for number, domain in enumerate("ab")]
    return network, accuracy | {"class": float(torch.stack(right).mean())}
