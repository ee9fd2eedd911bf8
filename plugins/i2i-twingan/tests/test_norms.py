"""The norms against independent statements of their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

from i2i_twingan.blocks import DomainNorm, width
from i2i_twingan.norms import Affine, BatchRenorm, PixelNorm

from i2i.core.kinds import NORM
from i2i.errors import OptionError
from i2i.nn.norms.instance import InstanceNorm


def batch(seed: int, features: int = 3) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(4, features, 5, 6, generator=draws, dtype=torch.float64) * 2 + 0.7


def test_pixel_norm() -> None:
    x = batch(0)
    expected = torch.stack([row / (row.norm(dim=0) ** 2 / 3 + 1e-6).sqrt() for row in x])
    torch.testing.assert_close(PixelNorm(3)(x), expected)


def test_affine() -> None:
    norm = Affine(3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = batch(0)
    torch.testing.assert_close(norm(x)[:, 1], x[:, 1] * norm.weight[1] + norm.bias[1])


def test_a_domain_norm_is_one_norm_for_each_domain() -> None:
    norm = DomainNorm(3, NORM("in", affine=True)).double()
    for row in norm.norms.values():
        torch.nn.init.normal_(row.weight)
        torch.nn.init.normal_(row.bias)
    x = batch(1)
    for domain in "ab":
        single = InstanceNorm(3, affine=True).double()
        single.load_state_dict(norm.norms[domain].state_dict())
        assert torch.equal(norm(x, domain), single(x))
    assert not torch.equal(norm(x, "a"), norm(x, "b"))


def test_each_domain_has_its_own_statistics() -> None:
    norm = DomainNorm(3, NORM("renorm")).double()
    single = BatchRenorm(3).double()
    norm(batch(1), "a")
    single(batch(1))
    assert torch.equal(norm.norms["a"].mean, single.mean)
    assert torch.equal(norm.norms["b"].mean, torch.zeros(3, dtype=torch.float64))


# The values of the official implementation.
BOUNDS = {
    0: (0.9, 1.1, 0.1),
    10_000: (0.9, 1.1, 0.1),
    10_001: (0.66, 1.5, 0.3),
    20_000: (0.66, 1.5, 0.3),
    20_001: (0.5, 2.0, 0.5),
    30_000: (0.5, 2.0, 0.5),
    30_001: (0.25, 4.0, 1.0),
    10**9: (0.25, 4.0, 1.0),
}


@pytest.mark.parametrize("step", BOUNDS)
def test_renorm_formula(step: int) -> None:
    low, high, far = BOUNDS[step]
    norm = BatchRenorm(3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    norm.at_step_(step)
    running_mean, running_deviation = [0.0] * 3, [1.0] * 3
    for seed in range(3):
        x = batch(seed)
        y = norm(x)
        for c in range(3):
            values = x[:, c]
            mean = float(values.mean())
            deviation = float((((values - mean) ** 2).mean() + 1e-3) ** 0.5)
            r = min(max(deviation / running_deviation[c], low), high)
            d = min(max((mean - running_mean[c]) / running_deviation[c], -far), far)
            expected = ((values - mean) / deviation * r + d) * norm.weight[c] + norm.bias[c]
            torch.testing.assert_close(y[:, c], expected)
            running_mean[c] += 0.01 * (mean - running_mean[c])
            running_deviation[c] += 0.01 * (deviation - running_deviation[c])
    torch.testing.assert_close(norm.mean, torch.tensor(running_mean, dtype=torch.float64))
    torch.testing.assert_close(norm.deviation, torch.tensor(running_deviation, dtype=torch.float64))
    norm.eval()
    x = batch(9)
    expected = (x[:, 1] - running_mean[1]) / running_deviation[1] * norm.weight[1] + norm.bias[1]
    torch.testing.assert_close(norm(x)[:, 1], expected)
    torch.testing.assert_close(norm(x[:1]), norm(x)[:1])  # samples are independent at inference


def test_the_corrections_get_no_gradient() -> None:
    norm = BatchRenorm(3).double()
    norm.at_step_(10**6)  # r and d are within these bounds
    x = (batch(0) * 0.4).requires_grad_()
    weights = batch(3)
    (norm(x) * weights).sum().backward()
    z = x.detach().clone().requires_grad_()
    plain = (z - z.mean((0, 2, 3), keepdim=True)) / (z.var((0, 2, 3), correction=0, keepdim=True) + 1e-3).sqrt()
    r = (x.detach().var((0, 2, 3), correction=0, keepdim=True) + 1e-3).sqrt()  # the running deviation is 1
    (plain * r * weights).sum().backward()
    torch.testing.assert_close(x.grad, z.grad)


def test_renorm_keeps_float32_statistics_in_half_precision() -> None:
    norm = BatchRenorm(3)
    assert norm(batch(0).bfloat16()).dtype == torch.bfloat16
    assert norm.mean.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boundaries": (20, 10)}, "boundaries: expected steps that increase, got"),
        ({"boundaries": (10,)}, "r_max: expected 2 numbers for 1 boundaries, got 4"),
    ],
)
def test_wrong_bounds_are_refused(options: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        BatchRenorm(3, **options)


def test_widths_are_those_of_the_paper() -> None:
    found = [width(4 * 2**stage, 1024, 256) for stage in range(7)]
    assert found == [256, 256, 256, 128, 64, 32, 16]
