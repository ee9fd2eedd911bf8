"""Layers that hold a row of numbers for each of several styles, and how a network is told which rows to use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from i2i.errors import ShapeError


class Conditioned(nn.Module):
    """A layer with `rows` rows, of which a forward uses a mix.

    The mix is set from outside, by `using`, so that networks which hold such a layer need not know of it.

    Args:
        rows: how many.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.mix: Tensor | None = None

    def chosen(self, table: Tensor, batch: int) -> Tensor:
        """The mixed row [B, C] of a table [rows, C].

        Raises:
            ShapeError: no mix has been set.
        """
        if self.mix is None:
            raise ShapeError(
                f"{type(self).__name__}: expected to be told which of its {self.rows} rows to use; a generator with "
                f"such a norm belongs into a translator that chooses, such as fast_style"
            )
        return (self.mix.to(table.dtype) @ table).expand(batch, -1)


def conditioned(network: nn.Module) -> list[Conditioned]:
    """All such layers of a network."""
    return [layer for layer in network.modules() if isinstance(layer, Conditioned)]


@contextmanager
def using(network: nn.Module, mix: Tensor) -> Iterator[None]:
    """A network whose conditioned layers use a mix of their rows, for as long as the context lasts.

    Args:
        mix: weights [B, rows] for each sample, or [1, rows] for all; one-hot chooses a row.
    """
    layers = conditioned(network)
    for layer in layers:
        layer.mix = mix
    try:
        yield
    finally:
        for layer in layers:
            layer.mix = None
