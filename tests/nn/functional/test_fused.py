"""One operation for a chain of norm, activation, sum and padding: equal to the chain, forward and twice backward."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.fused import Statistics, fuse_operations, fuses, modulate
from i2i.nn.functional.normalization import instance_norm, layer_instance_norm, layer_norm
from i2i.nn.functional.optimizations import assume_device, disable_optimizations

B, C = 2, 3
SCALES: dict[str, tuple[int, ...]] = {"channel": (C,), "sample": (B, C), "batch": (B, 1)}


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def reference(x: Tensor, statistics: str, rho: Tensor | None, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    wide = [None if value is None else value.expand(*x.shape[:2]) for value in (gamma, beta)]
    options: dict[str, Any] = {"eps": 1e-3, "unbiased": True, "gamma": wide[0], "beta": wide[1]}
    if statistics == "instance":
        return instance_norm(x, **options)
    if statistics == "layer":
        return layer_norm(x, **options)
    if statistics == "mix":
        assert rho is not None
        return layer_instance_norm(x, rho, **options)
    scale, shift = (value if value is None else value[..., None, None] for value in wide)
    y = x if scale is None else x * scale
    return y if shift is None else y + shift


@pytest.mark.parametrize("statistics", ["none", "instance", "layer", "mix"])
@pytest.mark.parametrize("shape", ["channel", "sample", "batch", "without"])
def test_gradients_of_both_orders_equal_those_of_the_definitions(statistics: Statistics, shape: str) -> None:
    if statistics == "none" and shape == "without":
        return
    x, rho = drawn(B, C, 5, 4), drawn(C) if statistics == "mix" else None
    gamma, beta = (None, None) if shape == "without" else (drawn(*SCALES[shape]), drawn(*SCALES[shape]))
    inputs = [value for value in (x, rho, gamma, beta) if value is not None]
    weights = torch.randn(B, C, 9, 8, dtype=torch.float64)
    found: list[list[Tensor]] = []
    for fused in (True, False):
        if fused:
            y = modulate(x, statistics, rho, gamma, beta, 1e-3, True, slope=0.2, padding=2)
        else:
            with disable_optimizations():
                y = F.pad(F.leaky_relu(reference(x, statistics, rho, gamma, beta), 0.2), (2,) * 4, mode="reflect")
        first = torch.autograd.grad((y * weights).sum(), inputs, create_graph=False, retain_graph=True)
        again = torch.autograd.grad((y * weights).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(grad.square().sum() for grad in again), inputs)
        found.append([y, *first, *again, *second])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


def test_a_residual_is_added() -> None:
    x, residual = drawn(B, C, 4, 4), drawn(B, C, 4, 4)
    y = modulate(x, "instance", residual=residual)
    torch.testing.assert_close(y, residual + instance_norm(x), rtol=0, atol=1e-12)
    (grad,) = torch.autograd.grad(y.square().sum(), residual)
    torch.testing.assert_close(grad, 2 * y, rtol=0, atol=1e-12)


def test_half_precision_keeps_its_type_and_computes_in_float32() -> None:
    x, gamma = drawn(B, C, 8, 8).detach().bfloat16().requires_grad_(), torch.ones(C, requires_grad=True)
    y = modulate(x, "instance", gamma=gamma, slope=0.0)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype, gamma.grad.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)  # type: ignore[union-attr]
    torch.testing.assert_close(y, F.relu(instance_norm(x.float())).bfloat16(), rtol=0, atol=0)


def test_only_training_on_a_gpu_in_this_thread_is_fused() -> None:
    x = torch.zeros(1, 1, 2, 2)
    assert not fuses(x)
    elsewhere: list[bool] = []
    with assume_device("cuda"), fuse_operations():
        assert fuses(x)
        thread = threading.Thread(target=lambda: elsewhere.append(fuses(x)))
        thread.start()
        thread.join()
        with disable_optimizations():
            assert not fuses(x)
    with fuse_operations():
        assert not fuses(x)
    assert elsewhere == [False]
