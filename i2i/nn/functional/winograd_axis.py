"""Winograd's transforms along one axis: tiles of m + 2 numbers and three weights to m outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

Matrix = tuple[tuple[float, ...], ...]


class Axis(NamedTuple):
    """F(m, 3). A product of sparse matrices stands for each dense one, with fewer sums.

    Attributes:
        size: m, the outputs of a tile.
        kernel: G [m + 2, 3].
        cut: the factors of :math:`B^T` [m + 2, m + 2], the first to be applied first.
        join: those of :math:`A^T` [m, m + 2].
    """

    size: int
    kernel: Matrix
    cut: tuple[Matrix, ...]
    join: tuple[Matrix, ...]

    @property
    def tile(self) -> int:
        """m + 2."""
        return self.size + 2


TWO = Axis(
    2,
    kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    cut=(((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1)),),
    join=(((1, 1, 1, 0), (0, 1, -1, 1)),),
)
"""F(2, 3), through the points 0, 1, -1 and infinity. Source: arXiv:1509.09308, section 4.1."""


def four(a: float, b: float) -> Axis:
    """F(4, 3) through the points 0, ±a, ±b and infinity.

    Sources: Lavin and Gray, arXiv:1509.09308, section 4.2; the choice of points: Barabasz et al., Error Analysis and
    Improving the Accuracy of Winograd Convolution for Deep Neural Networks, arXiv:1803.10986.
    """
    p, q, both = a * a, b * b, a * a + b * b
    of_a, of_b = 2 * p * (p - q), 2 * q * (q - p)
    return Axis(
        4,
        kernel=(
            (1 / (p * q), 0, 0),
            *((1 / of_a, point / of_a, p / of_a) for point in (a, -a)),
            *((1 / of_b, point / of_b, q / of_b) for point in (b, -b)),
            (0, 0, 1),
        ),
        cut=(
            (
                (p * q, 0, -both, 0, 1, 0),
                (0, 0, -q, 0, 1, 0),
                (0, -q, 0, 1, 0, 0),
                (0, 0, -p, 0, 1, 0),
                (0, -p, 0, 1, 0, 0),
                (0, p * q, 0, -both, 0, 1),
            ),
            (
                (1, 0, 0, 0, 0, 0),
                (0, 1, a, 0, 0, 0),
                (0, 1, -a, 0, 0, 0),
                (0, 0, 0, 1, b, 0),
                (0, 0, 0, 1, -b, 0),
                (0, 0, 0, 0, 0, 1),
            ),
        ),
        join=(
            (
                (1, 0, 0, 0, 0, 0),
                (0, 1, 1, 0, 0, 0),
                (0, 1, -1, 0, 0, 0),
                (0, 0, 0, 1, 1, 0),
                (0, 0, 0, 1, -1, 0),
                (0, 0, 0, 0, 0, 1),
            ),
            ((1, 1, 0, 1, 0, 0), (0, 0, a, 0, b, 0), (0, p, 0, q, 0, 0), (0, 0, a * p, 0, b * q, 1)),
        ),
    )


FOUR = four(5 / 8, 3 / 2)
"""These points round least of those tried, and all numbers of :math:`B^T` are exact in float32."""


@cache
def adjoint(factors: tuple[Matrix, ...]) -> tuple[Matrix, ...]:
    """The factors of the transposed matrix."""
    return tuple(tuple(zip(*factor, strict=True)) for factor in reversed(factors))


def mix(factors: tuple[Matrix, ...], parts: Sequence[Tensor], places: Sequence[Tensor | None]) -> list[Tensor]:
    """Sums of `parts`, weighted by each row of the factors' product, into `places`, or anew where None stands."""
    *first, last = factors
    for factor in first:
        goes = [None if index is None else places[index] for index in _taken_over(last)]
        parts = [_weighted(row, parts, place) for row, place in zip(factor, goes, strict=True)]
    return [_weighted(row, parts, place) for row, place in zip(last, places, strict=True)]


@cache
def _taken_over(last: Matrix) -> list[int | None]:
    """Of each part of the last factor the one row that takes it over as it is, so that it goes to its place at once."""
    kept = [[row.count(0) == len(row) - 1 and row[index] == 1 for row in last] for index in range(len(last[0]))]
    return [rows.index(True) if sum(rows) == 1 else None for rows in kept]


def _weighted(weights: Sequence[float], parts: Sequence[Tensor], place: Tensor | None) -> Tensor:
    """One sum; a part of weight 1 comes first, as it needs no product."""
    terms = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight]
    terms.sort(key=lambda term: term[0] != 1)
    (weight, made), *rest = terms
    if weight != 1:
        made = torch.mul(made, weight, out=place)
    elif rest:
        (weight, other), *rest = rest
        made = torch.add(made, other, alpha=weight, out=place)
    elif place is not None and place is not made:
        made = place.copy_(made)
    for weight, other in rest:
        made = made.add_(other, alpha=weight)
    return made
