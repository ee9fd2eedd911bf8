"""The factors are Winograd's matrices: along an axis they give a correlation, their transposes its gradient."""

from __future__ import annotations

from functools import reduce

import pytest
import torch
from torch import Tensor

from i2i.nn.functional.winograd_axis import FOUR, TWO, Axis, adjoint, four, mix

AXES = pytest.mark.parametrize("axis", [TWO, FOUR, four(1, 2)], ids=["2", "4", "4, other points"])


def dense(factors: tuple[tuple[tuple[float, ...], ...], ...]) -> Tensor:
    return reduce(
        lambda made, factor: torch.tensor(factor, dtype=torch.float64) @ made,
        factors,
        torch.eye(len(factors[0][0]), dtype=torch.float64),
    )


@AXES
def test_a_tile_gives_what_the_correlation_gives(axis: Axis) -> None:
    draws = torch.Generator().manual_seed(0)
    tile, weight = (torch.randn(n, dtype=torch.float64, generator=draws) for n in (axis.tile, 3))
    kernel = torch.tensor(axis.kernel, dtype=torch.float64)
    made = dense(axis.join) @ ((kernel @ weight) * (dense(axis.cut) @ tile))
    torch.testing.assert_close(made, tile.unfold(0, 3, 1) @ weight, rtol=0, atol=1e-13)


@AXES
@pytest.mark.parametrize("placed", [True, False])
def test_mixing_is_the_dense_product(axis: Axis, placed: bool) -> None:
    for factors in (axis.cut, axis.join, adjoint(axis.cut), adjoint(axis.join)):
        matrix = dense(factors)
        parts = torch.randn(matrix.shape[1], 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        given, places = parts.clone(), torch.full((len(matrix), 7), torch.nan, dtype=torch.float64)
        made = mix(factors, parts.unbind(), list(places.unbind()) if placed else [None] * len(matrix))
        torch.testing.assert_close(torch.stack(made), matrix @ given, rtol=0, atol=1e-12)
        assert torch.equal(parts, given)
        if placed:
            torch.testing.assert_close(places, matrix @ given, rtol=0, atol=1e-12)


@AXES
def test_the_adjoint_is_the_transpose(axis: Axis) -> None:
    torch.testing.assert_close(dense(adjoint(axis.cut)), dense(axis.cut).t())
    torch.testing.assert_close(dense(adjoint(axis.join)), dense(axis.join).t())
