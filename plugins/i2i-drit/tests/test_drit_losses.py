"""The losses against independent statements of their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from i2i_drit.losses import ContentAdversary, GaussianKL, ModeSeeking
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


def test_the_content_discriminator_targets_0_for_a_and_1_for_b() -> None:
    a, b = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    expected = F.binary_cross_entropy(a.sigmoid(), torch.zeros_like(a))
    expected = expected + F.binary_cross_entropy(b.sigmoid(), torch.ones_like(b))
    torch.testing.assert_close(ContentAdversary().content(a, b), expected)


def test_the_encoders_target_one_half() -> None:
    a, b = (2 * torch.randn(2, 1, 3, 3)).requires_grad_(), torch.randn(2, 1, 3, 3)
    half = torch.full_like(b, 0.5)
    expected = F.binary_cross_entropy(a.sigmoid(), half) + F.binary_cross_entropy(b.sigmoid(), half)
    loss = ContentAdversary().generator(a, b)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, a)
    torch.testing.assert_close(gradient, (a.sigmoid() - 0.5) / a.numel())
    zero = torch.zeros(1)
    assert float(ContentAdversary().generator(zero, zero)) == pytest.approx(2 * math.log(2))


def test_kl_gaussian_is_the_divergence_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(5, 8), torch.randn(5, 8)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(8), torch.ones(8)))
    torch.testing.assert_close(GaussianKL()(mean, log_variance), expected.sum(1).mean())
    assert float(GaussianKL()(torch.zeros(1, 8), torch.zeros(1, 8))) == 0


def test_mode_seeking_is_the_inverse_of_the_ratio_of_distances() -> None:
    image, other = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    z, z_other = torch.randn(2, 8), torch.randn(2, 8)
    ratio = F.l1_loss(image, other) / F.l1_loss(z, z_other)
    torch.testing.assert_close(ModeSeeking()(image, other, z, z_other), 1 / (ratio + 1e-5))
    same = ModeSeeking()(image, image, z, z_other)
    assert float(same) == pytest.approx(1e5)  # the maximum
    further = ModeSeeking()(image, image + 2 * (other - image), z, z_other)
    assert float(further) < float(ModeSeeking()(image, other, z, z_other))


@pytest.mark.parametrize("loss", [ContentAdversary().content, ContentAdversary().generator, GaussianKL()])
def test_losses_of_half_precision_are_computed_in_float32(loss: object) -> None:
    x, y = torch.randn(2, 4).bfloat16(), torch.randn(2, 4).bfloat16()
    torch.testing.assert_close(loss(x, y), loss(x.float(), y.float()))  # type: ignore[operator]
