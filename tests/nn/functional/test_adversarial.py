"""GAN formulas against the official GANLoss."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error

from i2i.nn.functional import adversarial

OURS = {
    "lsgan": adversarial.least_squares,
    "vanilla": adversarial.binary_cross_entropy,
    "wgangp": lambda logits, real: -adversarial.critic(logits) if real else adversarial.critic(logits),
}


@pytest.mark.parametrize("mode", OURS)
@pytest.mark.parametrize("real", [True, False])
def test_official_gan_loss(golden: Path, mode: str, real: bool) -> None:
    figures = read(golden / "cyclegan", "ganloss")
    logits = figures.tensor("pred").double().requires_grad_()
    loss = OURS[mode](logits, real)
    (gradient,) = torch.autograd.grad(loss, logits)
    key = f"{mode}/{'real' if real else 'fake'}"
    assert relative_error(loss, figures[f"{key}/loss"]) <= 1e-12
    assert relative_error(gradient, figures[f"{key}/grad64"]) <= 1e-12


def test_cross_entropy_of_large_logits() -> None:
    logits = torch.tensor([-40.0, -21.0, 19.0, 21.0, 40.0], dtype=torch.float64, requires_grad=True)
    for target in (True, False):
        sign = -1.0 if target else 1.0
        loss = adversarial.binary_cross_entropy(logits, target)
        (gradient,) = torch.autograd.grad(loss, logits)
        terms = [math.log1p(math.exp(sign * value)) for value in logits.tolist()]
        slopes = [sign / (1 + math.exp(-sign * value)) / len(terms) for value in logits.tolist()]
        assert float(loss) == pytest.approx(sum(terms) / len(terms), rel=1e-15)
        assert gradient.tolist() == pytest.approx(slopes, rel=1e-13)


def test_hinge() -> None:
    logits = torch.tensor([-2.0, 0.0, 0.5, 3.0])
    assert float(adversarial.hinge(logits, target=True)) == pytest.approx((3 + 1 + 0.5 + 0) / 4)
    assert float(adversarial.hinge(logits, target=False)) == pytest.approx((0 + 1 + 1.5 + 4) / 4)


def test_half_precision_logits_give_a_single_precision_loss() -> None:
    logits = torch.randn(3, 1, 4, 4).bfloat16()
    for loss in (adversarial.least_squares, adversarial.binary_cross_entropy, adversarial.hinge):
        assert torch.equal(loss(logits, True), loss(logits.float(), True))
