"""Instance norm with a scale and a shift for each of several styles, and how a network is given their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm


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


class ConditionalInstanceNorm(Conditioned):
    r"""Normalizes each sample's channels over their pixels, then scales and shifts by the rows of its style (CIN).

    .. math:: y = \sum_s w_s \gamma_s \frac{x - \mu_{hw}}{\sqrt{\sigma^2_{hw} + \epsilon}} + \sum_s w_s \beta_s

    The weights w come from the translator: one-hot for one style, or any mix of several.

    Args:
        num_features: channels C of the features [B, C, H, W].
        styles: rows of the tables gamma (from 1) and beta (from 0), [styles, C].
        eps: inside the root.

    Source: Dumoulin et al., ICLR 2017, arXiv:1610.07629, equation 5.
    """

    def __init__(self, num_features: int, styles: Positive = 10, eps: float = 1e-5) -> None:
        super().__init__(styles)
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(styles, num_features))
        self.beta = nn.Parameter(torch.zeros(styles, num_features))

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self.chosen(self.gamma, len(x)), self.chosen(self.beta, len(x))
        return instance_norm(x, self.eps, gamma=gamma, beta=beta)
