"""Means of loss terms since they were last read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from i2i.nn.functional.precision import finest


class TermMeans:
    """Sums of loss terms on their device; only reading the means synchronizes with it.

    A term that is absent at some steps, such as that of a lazy regularization, is the mean of the steps that have it.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Add the terms of one step."""
        for name, term in terms.items():
            value = term.detach()
            value = value.to(finest(value.device))
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means since the last call, and start from scratch."""
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means
