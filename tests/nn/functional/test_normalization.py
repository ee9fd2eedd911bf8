"""Norms against plain definitions, torch's own kernels, and their gradients in the layout where torch's are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm, layer_instance_norm, layer_norm

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "instance": instance_norm,
    "layer": layer_norm,
    "mixed": lambda x: layer_instance_norm(x, torch.linspace(0, 1, x.shape[1], dtype=x.dtype)),
}


def defined(x: Tensor, dims: tuple[int, ...], eps: float, unbiased: bool, eps_on: str) -> Tensor:
    variance = x.var(dims, unbiased=unbiased, keepdim=True)
    divisor = (variance + eps).sqrt() if eps_on == "var" else variance.sqrt() + eps
    return (x - x.mean(dims, keepdim=True)) / divisor


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize(("unbiased", "eps_on"), list(product([False, True], ["var", "std"])))
@pytest.mark.parametrize(("norm", "dims"), [(instance_norm, (2, 3)), (layer_norm, (1, 2, 3))])
def test_definition(norm: Callable[..., Tensor], dims: tuple[int, ...], unbiased: bool, eps_on: str) -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64) * 3 + 7
    expected = defined(x, dims, 1e-2, unbiased, eps_on)
    assert relative(norm(x, 1e-2, unbiased, eps_on), expected) < 1e-14
    for shape in ((3,), (2, 3)):
        gamma, beta = torch.randn(2, *shape, dtype=torch.float64)
        got = norm(x, 1e-2, unbiased, eps_on, gamma, beta)
        assert relative(got, expected * gamma[..., None, None] + beta[..., None, None]) < 1e-14


@pytest.mark.parametrize("unbiased", [False, True])
def test_mix_is_what_it_says(unbiased: bool) -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64) * 3 + torch.arange(3.0).view(1, 3, 1, 1)
    rho = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    gamma, beta = torch.randn(2, 2, 3, dtype=torch.float64)
    share = rho.view(1, 3, 1, 1)
    parts = [defined(x, dims, 1e-5, unbiased, "var") for dims in ((2, 3), (1, 2, 3))]
    expected = (share * parts[0] + (1 - share) * parts[1]) * gamma[..., None, None] + beta[..., None, None]
    assert relative(layer_instance_norm(x, rho, 1e-5, unbiased, gamma, beta), expected) < 1e-14


def test_agrees_with_torch() -> None:
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(instance_norm(x), F.instance_norm(x))
    torch.testing.assert_close(layer_norm(x), F.layer_norm(x, x.shape[1:]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name: str) -> None:
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(FUNCTIONS[name], x)
    assert torch.autograd.gradgradcheck(FUNCTIONS[name], x)


@pytest.mark.parametrize(("name", "batch"), list(product(FUNCTIONS, [1, 2])))
def test_gradient_does_not_depend_on_the_memory_layout(name: str, batch: int) -> None:
    x = torch.randn(batch, 8, 5, 6, dtype=torch.float64)
    cotangent = torch.randn_like(x)
    formats = [torch.contiguous_format, torch.channels_last]
    gradients = []
    for of_input, of_gradient in product(formats, formats):
        leaf = x.contiguous(memory_format=of_input).requires_grad_()
        grad_output = cotangent.contiguous(memory_format=of_gradient)
        gradients += torch.autograd.grad(FUNCTIONS[name](leaf), leaf, grad_output)
    assert all(relative(gradient, gradients[0]) < 1e-14 for gradient in gradients[1:])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_is_computed_in_single(name: str) -> None:
    torch.manual_seed(0)  # where a value is next to the mean, both round it differently
    x = (torch.randn(2, 3, 8, 8) + 300).bfloat16()
    got = FUNCTIONS[name](x)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got, FUNCTIONS[name](x.float()).bfloat16())


@pytest.mark.parametrize("eps_on", ["var", "std"])
def test_constant_map_has_no_nan(eps_on: str) -> None:
    x = torch.ones(1, 2, 3, 3, requires_grad=True)
    y = instance_norm(x, eps_on=eps_on)  # type: ignore[arg-type]  # parametrized over its literals
    y.sum().backward()
    assert x.grad is not None
    assert not y.any()
    assert x.grad.isfinite().all()


def test_shape_errors() -> None:
    for norm in ("instance", "mixed"):
        who = "instance_norm" if norm == "instance" else "layer_instance_norm"
        message = f"{who}: expected maps of more than one pixel, got [1, 2, 1, 1]; give a larger image"
        with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
            FUNCTIONS[norm](torch.ones(1, 2, 1, 1))
    with pytest.raises(ShapeError, match=r"^layer_norm: expected more than one number per sample, got \[2, 1, 1, 1\]$"):
        layer_norm(torch.ones(2, 1, 1, 1))
    message = "expected gamma [3] or [2, 3] for features [2, 3, 4, 4], got [2]"
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        instance_norm(torch.ones(2, 3, 4, 4), gamma=torch.ones(2))


@pytest.mark.parametrize(("name", "dtype"), list(product([*FUNCTIONS, "outside"], [torch.bfloat16, torch.float16])))
def test_half_precision_is_counted_in_float32_without_gradients_too(name: str, dtype: torch.dtype) -> None:
    norm = FUNCTIONS.get(name, lambda x: layer_norm(x, unbiased=True, eps_on="std"))
    x = (torch.randn(2, 6, 9, 8) * 3 + 50).to(dtype)  # far from zero, where sums in half precision would be useless
    expected = norm(x.float()).to(dtype)
    with torch.no_grad():
        got = norm(x)
    assert got.dtype == norm(x).dtype == dtype
    for one in (got, norm(x)):
        torch.testing.assert_close(one, expected, rtol=torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps / 4)
    with torch.no_grad():
        assert norm(torch.full((1, 2, 3, 3), 3.0, dtype=dtype)).abs().max() < 0.01  # no variance at all
