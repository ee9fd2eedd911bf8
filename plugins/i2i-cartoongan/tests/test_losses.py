"""The losses against independent statements of the papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch
from i2i_cartoongan.losses import AnimeGAN, Color, EdgeGAN, grayscale, yuv
from torch import Tensor


def logits(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


REAL, FAKE, SMOOTH = (1.0, -2.0), (0.5, 3.0), (-1.0, 0.25)


def test_edge_gan_has_three_sets() -> None:
    expected = -sum(math.log(sigmoid(x)) for x in REAL) / 2
    expected -= sum(math.log(1 - sigmoid(x)) for x in SMOOTH) / 2
    expected -= sum(math.log(1 - sigmoid(x)) for x in FAKE) / 2
    loss = EdgeGAN()
    assert loss.discriminator(logits(*REAL), logits(*FAKE), logits(*SMOOTH)).item() == pytest.approx(expected)
    assert loss.generator(logits(*FAKE)).item() == pytest.approx(-sum(math.log(sigmoid(x)) for x in FAKE) / 2)


def test_edge_gan_objectives() -> None:
    loss = EdgeGAN("lsgan", smooth=0.5)
    expected = sum((x - 1) ** 2 for x in REAL) / 2 + sum(x**2 for x in FAKE) / 2 + 0.5 * sum(x**2 for x in SMOOTH) / 2
    assert loss.discriminator(logits(*REAL), logits(*FAKE), logits(*SMOOTH)).item() == pytest.approx(expected)
    assert loss.generator(logits(*FAKE)).item() == pytest.approx(sum((x - 1) ** 2 for x in FAKE) / 2)
    mixed = EdgeGAN("lsgan", generator_objective="bce")
    assert mixed.generator(logits(*FAKE)).item() == pytest.approx(EdgeGAN().generator(logits(*FAKE)).item())


def test_animegan_has_four_sets() -> None:
    grey_set = (2.0, 0.0)
    expected = sum((x - 1) ** 2 for x in REAL) / 2 + 0.1 * sum(x**2 for x in SMOOTH) / 2
    expected += (sum(x**2 for x in FAKE) + sum(x**2 for x in grey_set)) / 2
    loss = AnimeGAN().discriminator(logits(*REAL), logits(*FAKE), logits(*grey_set), logits(*SMOOTH))
    assert loss.item() == pytest.approx(expected)
    weighted = AnimeGAN(1, 2, 3, 4).discriminator(logits(1), logits(1), logits(1), logits(1))
    assert weighted.item() == pytest.approx(9)


def test_yuv_of_known_colours() -> None:
    colors = torch.tensor([[1.0, 1, 1], [-1, -1, -1], [1, -1, -1]]).view(3, 3, 1, 1)
    expected = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0.299, -0.147, 0.615]]).view(3, 3, 1, 1)
    torch.testing.assert_close(yuv(colors), expected, rtol=0, atol=2e-4)
    torch.testing.assert_close(grayscale(colors), (yuv(colors)[:, :1] * 2 - 1).expand(3, 3, 1, 1))


def test_color_is_l1_of_y_and_huber_of_u_and_v() -> None:
    image, target = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64) * 2 - 1
    r, g, b = ((image - target) / 2).unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    u, v = 0.492 * (b - y), 0.877 * (r - y)
    expected = y.abs().mean() + (u**2 / 2).mean() + (v**2 / 2).mean()  # no difference here is as large as 1
    torch.testing.assert_close(Color()(image, target), expected, rtol=2e-3, atol=0)
    d = 0.01
    huber = torch.where(u.abs() <= d, u**2 / 2, d * (u.abs() - d / 2)).mean()
    huber = huber + torch.where(v.abs() <= d, v**2 / 2, d * (v.abs() - d / 2)).mean()
    torch.testing.assert_close(Color(d)(image, target), y.abs().mean() + huber, rtol=2e-3, atol=0)
    assert Color()(image, image) == 0
