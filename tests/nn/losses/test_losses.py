"""Each loss against an independent statement of its formula, and its gradient."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.kinds import ATTENTION, LOSS
from i2i.nn.discriminators.patch import Patch
from i2i.nn.losses.adversarial import BCEGAN, LSGAN, CAMLoss, Hinge
from i2i.nn.losses.penalized import DRAGAN, R1, WGANGP
from i2i.nn.losses.reconstruction import L1, L2


def discriminate(image: Tensor) -> dict[str, Tensor]:
    """A quadratic and a linear head with known gradients: x·w and 3 per pixel."""
    weight = torch.arange(1.0, 1 + image[0].numel(), dtype=image.dtype).view(image[0].shape) / 10
    return {"patch": image.square() * weight / 2, "cam": 3 * image.sum((2, 3))}


def expected_gradients(image: Tensor) -> list[Tensor]:
    weight = torch.arange(1.0, 1 + image[0].numel(), dtype=image.dtype).view(image[0].shape) / 10
    return [image * weight, torch.full_like(image, 3.0)]


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    real, fake = torch.randn(2, 2, 1, 3, 3, dtype=torch.float64).unbind()
    return real, fake


def test_lsgan(logits: tuple[Tensor, Tensor]) -> None:
    real, fake = logits
    expected = F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))
    torch.testing.assert_close(LSGAN().discriminator(real, fake), expected)
    torch.testing.assert_close(LSGAN().generator(fake), F.mse_loss(fake, torch.ones_like(fake)))


def test_bce(logits: tuple[Tensor, Tensor]) -> None:
    real, fake = logits
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    torch.testing.assert_close(BCEGAN().discriminator(real, fake), expected)
    torch.testing.assert_close(BCEGAN().generator(fake), bce(fake, torch.ones_like(fake)))


def test_hinge(logits: tuple[Tensor, Tensor]) -> None:
    real, fake = logits
    expected = (1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean()
    torch.testing.assert_close(Hinge().discriminator(real, fake), expected)
    torch.testing.assert_close(Hinge().generator(fake), -fake.mean())


def test_cam() -> None:
    fake, identity = torch.randn(2, 3, 2).unbind()
    bce = F.binary_cross_entropy_with_logits
    expected = bce(fake, torch.ones_like(fake)) + bce(identity, torch.zeros_like(identity))
    torch.testing.assert_close(CAMLoss().generator(fake, identity), expected)


def test_reconstruction() -> None:
    x, y = torch.randn(2, 2, 3, 4, 4).unbind()
    torch.testing.assert_close(L1()(x, y), F.l1_loss(x, y))
    torch.testing.assert_close(L2()(x, y), F.mse_loss(x, y))
    assert L1()(x.bfloat16(), y).dtype == torch.float32


def test_r1() -> None:
    real = torch.randn(2, 3, 4, 4)
    expected = sum(gradient.square().flatten(1).sum(1).mean() for gradient in expected_gradients(real))
    torch.testing.assert_close(R1(gamma=4.0).discriminator(real, discriminate), 2 * expected)


def test_wgan_gp() -> None:
    real, fake_for_discriminator = torch.randn(2, 5, 3, 4, 4).unbind()
    share = torch.rand(5, 1, 1, 1, generator=torch.Generator().manual_seed(7))
    critics = sum(
        discriminate(fake_for_discriminator)[head].mean() - discriminate(real)[head].mean() for head in ("patch", "cam")
    )
    gradients = expected_gradients(share * real + (1 - share) * fake_for_discriminator)
    penalty = sum((gradient.flatten(1).norm(dim=1) - 1).square().mean() for gradient in gradients)
    torch.testing.assert_close(
        WGANGP(penalty=3.0).discriminator(real, fake_for_discriminator, discriminate, 7), critics + 3 * penalty
    )
    torch.testing.assert_close(WGANGP().generator(real), -real.mean())


@pytest.mark.parametrize("spread", ["deviation", "variance"])
def test_dragan(spread: Literal["deviation", "variance"]) -> None:
    real = torch.randn(5, 3, 4, 4) * 2
    noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(7)) * 2 - 1
    scale = (real - real.mean()).square().mean() ** (1 if spread == "variance" else 0.5)
    gradients = expected_gradients(real + 0.3 * scale * noise)
    penalty = sum((gradient.flatten(1).norm(dim=1) - 1).square().mean() for gradient in gradients)
    found = DRAGAN(penalty=0.25, noise=0.3, spread=spread).discriminator(real, discriminate, 7)
    torch.testing.assert_close(found, 0.25 * penalty)


def test_dragan_of_a_finite_difference() -> None:
    real = torch.rand(2, 3, 2, 2, dtype=torch.float64)
    noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(3)).double() * 2 - 1
    at = real + 0.5 * real.std(correction=0) * noise
    slopes = ((at + 1e-6).sin() - (at - 1e-6).sin()) / 2e-6
    found = DRAGAN(penalty=1.0).discriminator(real, lambda image: {"patch": image.sin()}, 3)
    torch.testing.assert_close(found, (slopes.flatten(1).norm(dim=1) - 1).square().mean(), rtol=1e-6, atol=0.0)


def test_wgan_gp_is_drawn_from_its_seed_alone() -> None:
    real, fake_for_discriminator = torch.randn(2, 5, 3, 4, 4).unbind()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (
        WGANGP().discriminator(real, fake_for_discriminator, discriminate, draw) for draw in (7, 7, 8)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("autocast", [False, True])
def test_penalties_train_a_discriminator(autocast: bool) -> None:
    model = Patch(4, 3, padding="reflect", spectral_norm=True, attention=ATTENTION("cam"), init="default")
    real, fake_for_discriminator = torch.randn(2, 2, 3, 16, 16).unbind()
    for penalized in (
        lambda: R1().discriminator(real, lambda image: model(image).logits),
        lambda: WGANGP().discriminator(real, fake_for_discriminator, lambda image: model(image).logits, 0),
        lambda: DRAGAN().discriminator(real, lambda image: model(image).logits, 0),
    ):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = penalized()
        assert loss.dtype == torch.float32
        loss.backward()
        weights = {name: p for name, p in model.named_parameters() if name.endswith("weight")}
        assert [name for name, p in weights.items() if p.grad is None or not p.grad.any()] == []


def test_penalty_of_a_flat_critic_has_no_nan() -> None:
    weight = torch.zeros(1, requires_grad=True)
    real = torch.randn(2, 3, 4, 4)
    loss = WGANGP().discriminator(real, real, lambda image: {"patch": image * weight}, 0)
    loss.backward()
    assert loss.item() == 10
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_registered_names() -> None:
    names = {
        "lsgan": LSGAN,
        "bce_gan": BCEGAN,
        "hinge": Hinge,
        "wgan_gp": WGANGP,
        "r1": R1,
        "dragan": DRAGAN,
        "l1": L1,
        "l2": L2,
        "cam": CAMLoss,
    }
    for name, component in names.items():
        built = LOSS(name)()
        assert type(built) is component
        assert isinstance(built, nn.Module)
