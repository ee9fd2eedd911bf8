"""SSIM against kornia's, its symmetry, and the loss."""

from __future__ import annotations

import torch
from kornia.metrics import ssim

from i2i.nn.functional.structural_similarity import structural_similarity
from i2i.nn.losses.reconstruction import SSIM


def test_same_as_kornia_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(2, 3, 20, 24, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(2))
    y = 0.5 * x + 0.5 * y
    for window in (7, 11):
        expected = ssim((x + 1) / 2, (y + 1) / 2, window, padding="valid")
        got = structural_similarity(x, y, window)
        assert got.shape == (2, 3, 21 - window, 25 - window)
        assert torch.allclose(got, expected, atol=1e-7)
        assert torch.allclose(got, structural_similarity(y, x, window))


def test_loss() -> None:
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    assert abs(float(SSIM()(x, x))) < 1e-6
    y = (torch.rand(1, 3, 16, 16) * 2 - 1).requires_grad_()
    loss = SSIM(5)(y, x)
    assert 0 < float(loss.detach()) <= 1
    loss.backward()
    assert y.grad is not None
    assert y.grad.abs().sum() > 0
