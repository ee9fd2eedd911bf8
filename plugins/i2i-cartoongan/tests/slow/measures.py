"""Two-sided measures of a cartoon: is it one, and does it still show the photo's edges?"""

from __future__ import annotations

import torch
from kornia.filters import sobel
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.data.portraits import Portraits


def edge_correlation(made: Tensor, source: Tensor) -> float:
    """Mean over pictures [n, 3, H, W] of the correlation of their gradients' lengths, of brightness."""
    first, second = (sobel(image.double().mean(1, keepdim=True)).flatten(1) for image in (made, source))
    first, second = (one - one.mean(1, keepdim=True) for one in (first, second))
    return float(F.cosine_similarity(first, second).mean())


def domain_classifier(data: Portraits, steps: int = 150) -> nn.Module:
    """Tells drawings (above 0) from photos by small patches and colours: trained here, on portraits not measured."""
    torch.manual_seed(0)
    widths = (3, 16, 32, 64)
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(steps):
        batch = [data[10_000 + 8 * step + index] for index in range(8)]
        images = torch.stack([sample[domain] for domain in "ab" for sample in batch])
        images = images + 0.1 * torch.randn_like(images)  # or it would look at the photos' noise alone
        target = torch.arange(2).repeat_interleave(8)[:, None].float()
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(images), target).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def domain_accuracy(model: nn.Module, made: Tensor) -> float:
    """Share of pictures [n, 3, H, W] that are taken for drawings."""
    return float((model(made) > 0).double().mean())
