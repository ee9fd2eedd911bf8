"""Trains `cartoongan_small`: translations are classified as drawings and keep the edges of their photos.

    python -m pytest -m slow plugins/i2i-cartoongan/tests/slow -s

Minutes on one thread; prints metrics every 100 steps.
"""

from __future__ import annotations

import time

import pytest
import torch
from i2i_cartoongan.data import SmoothPortraits
from kornia.filters import sobel
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.data.loader import make_loader
from i2i.demo.portraits import Portraits
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

COUNT = 64


def edge_correlation(image: Tensor, source: Tensor) -> float:
    """Return the mean correlation of gradient magnitudes of brightness, over images [n, 3, H, W]."""
    first, second = (sobel(x.double().mean(1, keepdim=True)).flatten(1) for x in (image, source))
    first, second = (x - x.mean(1, keepdim=True) for x in (first, second))
    return float(F.cosine_similarity(first, second).mean())


def domain_classifier(data: Portraits, steps: int = 150) -> nn.Module:
    """Train a classifier of drawings (logits above 0) and photos, on portraits that are not measured."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for in_channels, out_channels in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(in_channels, out_channels, 3, 2, 1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(steps):
        batch = [data[10_000 + 8 * step + index] for index in range(8)]
        images = torch.stack([sample[domain] for domain in "ab" for sample in batch])
        images = images + 0.1 * torch.randn_like(images)  # otherwise it would detect the noise of photos
        target = torch.arange(2).repeat_interleave(8)[:, None].float()
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(images), target).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def domain_accuracy(model: nn.Module, image: Tensor) -> float:
    """Return the share of images [n, 3, H, W] that are classified as drawings."""
    return float((model(image) > 0).double().mean())


@pytest.mark.slow
def test_cartoongan_small_translates_to_drawings_of_the_same_people(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = Recipe.read("cartoongan_small")
    data = SmoothPortraits(recipe.image_size, seed=recipe.train.seed)
    truth, discriminate = data.pairs(COUNT), domain_classifier(data)
    # The metrics themselves: the identity fails the first, drawings of other people fail the second.
    assert domain_accuracy(discriminate, truth["a"]) <= 0.05
    assert domain_accuracy(discriminate, truth["b"]) >= 0.95
    assert edge_correlation(truth["b"], truth["a"]) >= 0.6
    assert edge_correlation(truth["b"].roll(1, 0), truth["a"]) <= 0.3
    stepper = Stepper(recipe)
    batches = iter(make_loader(data, batch_size=recipe.train.batch_size))
    began, rows = time.monotonic(), []
    for step in range(1, recipe.train.steps + 1):
        stepper.step(next(batches))
        if step % 100 == 0:
            with torch.no_grad(), stepper.eval_mode() as translator:
                generated = translator.translate(truth["a"], "b").image
            rows.append((domain_accuracy(discriminate, generated), edge_correlation(generated, truth["a"])))
            distance = float((generated - truth["b"]).abs().mean()) / 2
            with capsys.disabled():
                domain, edges = rows[-1]
                took = time.monotonic() - began
                print(f"\n{step} {took:.0f} s domain {domain:.2f} edges {edges:.2f} L1 {distance:.3f}", end="")
    torch.set_num_threads(threads)
    content = rows[recipe.translator.options["initialization"] // 100 - 1]
    assert content[0] <= 0.25  # after the initialization images are still photos
    assert rows[-1][0] >= 0.75
    assert rows[-1][1] > 0.5
