"""Every convolution algorithm computes what `F.conv2d` computes, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional import convolution
from i2i.nn.functional.convolution import convolve
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.nn.layers.spectral import Conv2d

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, int]]] = {
    "large weight": ((2, 64, 7, 6), (256, 64, 4, 4), 1, (0, 0)),
    "large weight, padded, strided": ((1, 64, 8, 8), (256, 64, 4, 4), 2, (1, 1)),
    "narrow": ((2, 8, 14, 12), (3, 8, 7, 7), 1, (0, 0)),
    "narrow, padded": ((1, 8, 8, 6), (1, 8, 5, 5), 1, (2, 2)),
    "plain": ((1, 4, 9, 9), (6, 4, 3, 3), 2, (1, 1)),
}
ALGORITHMS = {"large weight": "_by_product", "narrow": "_by_blocks"}


def inputs_of(case: str) -> tuple[Tensor, Tensor, Tensor]:
    shape, kernel, _, _ = CASES[case]
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_(),
        torch.randn(kernel, dtype=torch.float64, generator=generator).requires_grad_(),
        torch.randn(kernel[0], dtype=torch.float64, generator=generator).requires_grad_(),
    )


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case: str) -> None:
    _, _, stride, padding = CASES[case]
    inputs = inputs_of(case)
    expected = F.conv2d(*inputs, stride, padding)
    got = convolve(*inputs, stride, padding)
    assert (got - expected).norm() < 1e-13 * expected.norm()
    cotangent = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for gradient, reference in zip(*(torch.autograd.grad(y, inputs, cotangent) for y in (got, expected)), strict=True):
        assert (gradient - reference).norm() < 1e-13 * reference.norm()
    without = convolve(inputs[0], inputs[1], None, stride, padding)
    assert (without - F.conv2d(inputs[0], inputs[1], None, stride, padding)).norm() < 1e-13 * expected.norm()


@pytest.mark.parametrize("case", CASES)
def test_which_algorithm_is_used(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    for name in ALGORITHMS.values():
        function = getattr(convolution, name)

        def spy(*inputs: object, name: str = name, function: object = function) -> Tensor:
            used.append(name)
            return function(*inputs)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(convolution, name, spy)
    _, _, stride, padding = CASES[case]
    x, weight, bias = (value.detach().float() for value in inputs_of(case))
    convolve(x, weight, bias, stride, padding)
    assert used == [ALGORITHMS[name] for name in ALGORITHMS if case.startswith(name)]
    used.clear()
    with disable_optimizations():
        convolve(x, weight, bias, stride, padding)
    assert used == []
    with torch.autocast("cpu", torch.bfloat16):
        convolve(x, weight, bias, stride, padding)
    assert set(used) <= {"_by_blocks"}  # in half precision, too; the matrix product is for float32 and float64


def test_second_gradients() -> None:
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)

    def product(x: Tensor, weight: Tensor) -> Tensor:
        return convolution._by_product(x, weight, None, 1, (0, 0), (2, 2))

    assert torch.autograd.gradgradcheck(product, (x, weight))


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
def test_the_layer_equals_that_of_torch(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    ours = Conv2d(6, 3, 7, **options)  # type: ignore[arg-type]
    theirs = torch.nn.Conv2d(6, 3, 7, **options)  # type: ignore[arg-type]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 16, 18)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
