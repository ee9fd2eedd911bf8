"""Every way of convolving gives what `F.conv2d` gives, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional import convolution
from i2i.nn.functional.convolution import convolve
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.nn.functional.winograd import winograd
from i2i.nn.layers.conv2d import Conv2d

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, int]]] = {
    "heavy": ((2, 64, 7, 6), (256, 64, 4, 4), 1, (0, 0)),
    "heavy, padded, strided": ((1, 64, 8, 8), (256, 64, 4, 4), 2, (1, 1)),
    "narrow": ((2, 8, 14, 12), (3, 8, 7, 7), 1, (0, 0)),
    "narrow, padded": ((1, 8, 8, 6), (1, 8, 5, 5), 1, (2, 2)),
    "deep": ((1, 256, 66, 66), (256, 256, 3, 3), 1, (0, 0)),
    "deep, padded": ((1, 256, 64, 64), (257, 256, 3, 3), 1, (1, 1)),
    "deep, two": ((1, 256, 68, 68), (256, 256, 3, 3), 1, (0, 0)),
    "plain": ((1, 4, 9, 9), (6, 4, 3, 3), 2, (1, 1)),
}
WAYS = {"heavy": "_by_product", "narrow": "_by_blocks", "deep": "winograd"}


def drawn(case: str) -> tuple[Tensor, Tensor, Tensor]:
    shape, kernel, _, _ = CASES[case]
    draws = torch.Generator().manual_seed(0)
    return (
        torch.randn(shape, dtype=torch.float64, generator=draws).requires_grad_(),
        torch.randn(kernel, dtype=torch.float64, generator=draws).requires_grad_(),
        torch.randn(kernel[0], dtype=torch.float64, generator=draws).requires_grad_(),
    )


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case: str) -> None:
    _, _, stride, padding = CASES[case]
    given = drawn(case)
    expected = F.conv2d(*given, stride, padding)
    got = convolve(*given, stride, padding)
    assert (got - expected).norm() < 1e-13 * expected.norm()
    cotangent = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for one, other in zip(*(torch.autograd.grad(y, given, cotangent) for y in (got, expected)), strict=True):
        assert (one - other).norm() < 1e-13 * other.norm()
    without = convolve(given[0], given[1], None, stride, padding)
    assert (without - F.conv2d(given[0], given[1], None, stride, padding)).norm() < 1e-13 * expected.norm()


@pytest.mark.parametrize("case", CASES)
def test_the_way_is_taken_and_can_be_left(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for way in WAYS.values():
        function = getattr(convolution, way)

        def noted(*given: object, way: str = way, function: object = function) -> Tensor:
            taken.append(way)
            return function(*given)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(convolution, way, noted)
    _, _, stride, padding = CASES[case]
    x, weight, bias = (value.detach().float() for value in drawn(case))
    convolve(x, weight, bias, stride, padding)
    assert taken == [WAYS[name] for name in WAYS if case.startswith(name)]
    taken.clear()
    with disable_optimizations():
        convolve(x, weight, bias, stride, padding)
    with torch.autocast("cpu", torch.bfloat16):
        convolve(x, weight, bias, stride, padding)
    assert set(taken) <= {"_by_blocks"}  # the one that half precision takes too


def test_half_precision_takes_small_tiles_where_no_gradient_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def noted(x: Tensor, weight: Tensor, size: int) -> Tensor:
        taken.append(size)
        return winograd(x, weight, size)

    monkeypatch.setattr(convolution, "winograd", noted)
    x, weight = (value.detach().bfloat16() for value in drawn("deep")[:2])
    exact = F.conv2d(x.double(), weight.double())
    direct = convolve(x, weight)
    assert taken == []
    with torch.no_grad():
        made = convolve(x, weight)
    assert taken == [2]
    assert made.dtype == torch.bfloat16
    assert (made - exact).norm() < 6 * (direct - exact).norm()
    assert (made - exact).norm() < 0.01 * exact.norm()


def test_second_gradients() -> None:
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)

    def heavy(x: Tensor, weight: Tensor) -> Tensor:
        return convolution._by_product(x, weight, None, 1, (0, 0), [2, 2])

    assert torch.autograd.gradgradcheck(heavy, (x, weight))


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 3, "padding_mode": "reflect"},
        {"padding": 3},
        {"padding": "same"},
        {"groups": 3},
        {"dilation": 2, "padding": (1, 2), "padding_mode": "circular"},
        {"stride": (1, 2)},
    ],
)
def test_the_layer_is_torchs(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    ours = Conv2d(6, 3, 7, **options)  # type: ignore[arg-type]
    theirs = torch.nn.Conv2d(6, 3, 7, **options)  # type: ignore[arg-type]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 16, 18)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
