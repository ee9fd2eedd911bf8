"""The power iteration finds the first singular value."""

from __future__ import annotations

import torch

from i2i.nn.functional.spectral import power_iteration, spectral_normalize


def test_converges_to_the_largest_singular_value() -> None:
    weight = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    u = torch.nn.functional.normalize(torch.randn(5, dtype=torch.float64), dim=0)
    for _ in range(500):
        u, v = power_iteration(weight, u)
    largest = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
    torch.testing.assert_close(spectral_normalize(weight, u, v), weight / largest)


def test_one_row_is_exact_after_one_step() -> None:
    weight = torch.randn(1, 7, dtype=torch.float64)
    u, v = power_iteration(weight, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(spectral_normalize(weight, u, v).norm(), torch.ones((), dtype=torch.float64))


def test_gradient_passes_through_sigma_but_not_through_the_vectors() -> None:
    weight = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    u, v = power_iteration(weight, torch.nn.functional.normalize(torch.randn(3, dtype=torch.float64), dim=0))
    assert not u.requires_grad
    assert not v.requires_grad
    assert torch.autograd.gradcheck(lambda w: spectral_normalize(w, u, v), weight)


def test_autocast_does_not_round_the_iteration() -> None:
    weight, u = torch.randn(8, 9), torch.randn(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = power_iteration(weight, u)
    torch.testing.assert_close(inside, power_iteration(weight, u), rtol=0, atol=0)
