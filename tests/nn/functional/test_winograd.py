"""Winograd's convolution and its gradients are the direct one's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from i2i.nn.functional import winograd as operations
from i2i.nn.functional.winograd import winograd


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (2, (1, 2, 4, 4)),
        (2, (2, 3, 10, 6)),
        (2, (3, 1, 4, 16)),
        (4, (1, 2, 6, 6)),
        (4, (2, 3, 10, 6)),
        (4, (3, 1, 6, 18)),
    ],
)
def test_values_and_gradients(size: int, shape: tuple[int, ...]) -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, generator=draws, requires_grad=True)
    weight = torch.randn(5, shape[1], 3, 3, dtype=torch.float64, generator=draws, requires_grad=True)
    expected, got = F.conv2d(x, weight), winograd(x, weight, size)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    cotangent = torch.randn(expected.shape, dtype=torch.float64, generator=draws)
    for one, other in zip(*(torch.autograd.grad(y, (x, weight), cotangent) for y in (got, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "most"), [(2, 6e-7), (4, 1.5e-6)])
def test_single_precision_is_kept(size: int, most: float) -> None:
    draws = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 64, 34, 34, generator=draws), torch.randn(32, 64, 3, 3, generator=draws)
    exact = F.conv2d(x.double(), weight.double())
    error = (winograd(x, weight, size) - exact).norm() / exact.norm()
    assert error < most


def test_second_gradients() -> None:
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(winograd, (x, weight))
    assert torch.autograd.gradgradcheck(winograd, (x, weight))


def test_only_what_is_asked_for() -> None:
    x, weight = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3, requires_grad=True)
    assert torch.autograd.grad(winograd(x, weight).sum(), weight)[0].shape == weight.shape
    x.requires_grad_()
    assert torch.autograd.grad(winograd(x, weight.detach()).sum(), x)[0].shape == x.shape


def test_room_is_used_again_for_smaller_maps_and_in_any_mode() -> None:
    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 2, 3, 3, generator=draws)
    with torch.inference_mode():
        x = torch.randn(1, 2, 12, 12, generator=draws)
        torch.testing.assert_close(winograd(x, weight), F.conv2d(x, weight), rtol=0, atol=1e-5)
    for side, size in ((6, 4), (6, 2), (20, 2), (18, 4), (8, 2)):
        x = torch.randn(2, 2, side, side, generator=draws, requires_grad=True)
        made = winograd(x, weight, size)
        torch.testing.assert_close(made, F.conv2d(x, weight), rtol=0, atol=5e-5)
        made.sum().backward()


def test_torch_may_trace_it() -> None:
    x, weight = torch.randn(1, 2, 10, 6, requires_grad=True), torch.randn(3, 2, 3, 3, requires_grad=True)
    torch.library.opcheck(operations._forward, (x, weight, 4))
    given = torch.randn(1, 3, 8, 4), x.detach(), weight.detach(), 4
    for needed in ([True, True], [True, False], [False, True]):
        torch.library.opcheck(operations._backward, (*given, needed), test_utils=("test_schema", "test_faketensor"))
