"""Adam as TensorFlow computes it."""

from __future__ import annotations

import copy

import torch
from torch import nn

from i2i.engine.optimizers import TensorFlowAdam


def test_the_formula_with_weight_decay_on_kernels_alone() -> None:
    kernel, bias = (
        nn.Parameter(torch.randn(3, 2, dtype=torch.float64)),
        nn.Parameter(torch.randn(3, dtype=torch.float64)),
    )
    optimizer = TensorFlowAdam([bias, kernel], lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.2)
    expected = {p: (p.detach().clone(), torch.zeros_like(p), torch.zeros_like(p)) for p in (kernel, bias)}
    for t in range(1, 5):
        if t == 3:  # a resumed optimizer continues to count
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = TensorFlowAdam([bias, kernel], lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.2)
            optimizer.load_state_dict(saved)
        for p, (w, m, v) in expected.items():
            p.grad = torch.randn_like(p) * 1e-3
            gradient = p.grad + (0.2 * w if p is kernel else 0)
            m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
            w = w - 0.1 * (1 - 0.9**t) ** 0.5 / (1 - 0.5**t) * m / (v.sqrt() + 1e-3)
            expected[p] = w, m, v
        optimizer.step()
        for p, (w, _, _) in expected.items():
            torch.testing.assert_close(p.detach(), w, rtol=1e-12, atol=1e-14)
    assert [group["eps"] for group in optimizer.param_groups] == [1e-3, 1e-3]
