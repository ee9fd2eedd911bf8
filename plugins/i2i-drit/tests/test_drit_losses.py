"""The losses against their formulas, written once more with torch's own functions."""

from __future__ import annotations

import math

import pytest
import torch
from i2i_drit.losses import ContentAdversary, GaussianKL, ModeSeeking
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


def test_the_content_discriminator_says_0_for_a_and_1_for_b() -> None:
    a, b = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    expected = F.binary_cross_entropy(a.sigmoid(), torch.zeros_like(a))
    expected = expected + F.binary_cross_entropy(b.sigmoid(), torch.ones_like(b))
    torch.testing.assert_close(ContentAdversary().content(a, b), expected)


def test_encoders_push_it_towards_a_half() -> None:
    a, b = (2 * torch.randn(2, 1, 3, 3)).requires_grad_(), torch.randn(2, 1, 3, 3)
    half = torch.full_like(b, 0.5)
    expected = F.binary_cross_entropy(a.sigmoid(), half) + F.binary_cross_entropy(b.sigmoid(), half)
    loss = ContentAdversary().generator(a, b)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, a)
    torch.testing.assert_close(gradient, (a.sigmoid() - 0.5) / a.numel())  # none where it guesses, towards 0 elsewhere
    zero = torch.zeros(1)
    assert float(ContentAdversary().generator(zero, zero)) == pytest.approx(2 * math.log(2))


def test_the_attributes_divergence_is_a_normal_distributions() -> None:
    mean, log_variance = torch.randn(5, 8), torch.randn(5, 8)
    found = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(8), torch.ones(8)))
    torch.testing.assert_close(GaussianKL()(mean, log_variance), found.sum(1).mean())
    assert float(GaussianKL()(torch.zeros(1, 8), torch.zeros(1, 8))) == 0


def test_mode_seeking_is_the_inverse_of_the_ratio_of_distances() -> None:
    one, two = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    z_one, z_two = torch.randn(2, 8), torch.randn(2, 8)
    ratio = F.l1_loss(one, two) / F.l1_loss(z_one, z_two)
    torch.testing.assert_close(ModeSeeking()(one, two, z_one, z_two), 1 / (ratio + 1e-5))
    same = ModeSeeking()(one, one, z_one, z_two)
    assert float(same) == pytest.approx(1e5)  # the worst there is
    further = ModeSeeking()(one, one + 2 * (two - one), z_one, z_two)
    assert float(further) < float(ModeSeeking()(one, two, z_one, z_two))


@pytest.mark.parametrize("loss", [ContentAdversary().content, ContentAdversary().generator, GaussianKL()])
def test_losses_of_half_precision_are_computed_in_float32(loss: object) -> None:
    one, two = torch.randn(2, 4).bfloat16(), torch.randn(2, 4).bfloat16()
    torch.testing.assert_close(loss(one, two), loss(one.float(), two.float()))  # type: ignore[operator]
