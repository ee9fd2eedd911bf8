"""GAN formulas against the official GANLoss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from i2i.nn.functional import adversarial

OURS = {
    "lsgan": adversarial.least_squares,
    "vanilla": adversarial.binary_cross_entropy,
    "wgangp": lambda logits, real: -adversarial.critic(logits) if real else adversarial.critic(logits),
}


@pytest.mark.parametrize("mode", OURS)
@pytest.mark.parametrize("real", [True, False])
def test_official_gan_loss(golden: Path, mode: str, real: bool) -> None:
    figures = load_file(golden / "cyclegan" / "ganloss.safetensors")
    logits = figures["pred"].double().requires_grad_()
    loss = OURS[mode](logits, real)
    (gradient,) = torch.autograd.grad(loss, logits)
    key = f"{mode}/{'real' if real else 'fake'}"
    torch.testing.assert_close(loss, figures[f"{key}/loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, figures[f"{key}/grad64"], rtol=1e-12, atol=1e-18)


def test_hinge() -> None:
    logits = torch.tensor([-2.0, 0.0, 0.5, 3.0])
    assert float(adversarial.hinge(logits, target=True)) == pytest.approx((3 + 1 + 0.5 + 0) / 4)
    assert float(adversarial.hinge(logits, target=False)) == pytest.approx((0 + 1 + 1.5 + 4) / 4)


def test_half_precision_logits_give_a_single_precision_loss() -> None:
    logits = torch.randn(3, 1, 4, 4).bfloat16()
    for loss in (adversarial.least_squares, adversarial.binary_cross_entropy, adversarial.hinge):
        assert torch.equal(loss(logits, True), loss(logits.float(), True))
