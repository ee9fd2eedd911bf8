"""Upsampling and convolution in one operation is what they are in two."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from i2i.nn.functional.optimizations import disable_optimizations, optimizations_enabled
from i2i.nn.functional.resampling import upsample_and_convolve


@pytest.mark.parametrize("size", [(1, 1, 2, 2), (2, 3, 5, 4), (1, 2, 3, 7)])
def test_equals_the_two_steps_in_value_and_gradient(size: tuple[int, ...]) -> None:
    draws = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=draws, dtype=torch.float64, requires_grad=True)
        for shape in (size, (4, size[1], 3, 3), (4,))
    )
    got = upsample_and_convolve(x, weight, bias)
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = F.conv2d(F.pad(repeated, (1, 1, 1, 1), mode="reflect"), weight, bias)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    toward = torch.randn(got.shape, generator=draws, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad(got, (x, weight, bias), toward),
        torch.autograd.grad(expected, (x, weight, bias), toward),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_plainly_takes_no_shortcut_and_is_put_back() -> None:
    assert optimizations_enabled()
    with disable_optimizations():
        assert not optimizations_enabled()
        with disable_optimizations(False):
            assert not optimizations_enabled()
    assert optimizations_enabled()
    x, weight = torch.randn(1, 2, 3, 3), torch.randn(2, 2, 3, 3)
    with disable_optimizations():
        torch.testing.assert_close(upsample_and_convolve(x, weight), upsample_and_convolve(x, weight))
