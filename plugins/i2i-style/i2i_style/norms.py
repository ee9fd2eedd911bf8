"""The norm `cin`: instance norm with one row of parameters for each style, and the selection of rows in a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm

_style_weights: ContextVar[Tensor | None] = ContextVar("style_weights", default=None)


@contextmanager
def style_weights(weights: Tensor) -> Iterator[None]:
    """Set the weights of the styles for all conditional norms that are called in this context.

    The networks between the translator and its norms need not pass them on. They are a context variable, so that two
    threads can use one network with different styles.

    Args:
        weights: [B, styles] for each sample, or [1, styles] for all; one-hot selects one style.
    """
    token = _style_weights.set(weights)
    try:
        yield
    finally:
        _style_weights.reset(token)


class ConditionalInstanceNorm(nn.Module):
    r"""Instance norm with a scale and a shift for each of several styles (CIN).

    .. math:: y = \sum_s w_s \gamma_s \frac{x - \mu_{hw}}{\sqrt{\sigma^2_{hw} + \epsilon}} + \sum_s w_s \beta_s

    The weights w are set with `style_weights`, by the translator `fast_style`: one-hot for one style, or a mix.

    Args:
        num_features: channels C of the features [B, C, H, W].
        styles: number of styles; gamma (initially 1) and beta (initially 0) are [styles, C].
        eps: added to the variance.

    Source: Dumoulin et al., ICLR 2017, arXiv:1610.07629, equation 5.
    """

    def __init__(self, num_features: int, styles: Positive = 10, eps: float = 1e-5) -> None:
        super().__init__()
        self.styles, self.eps = styles, eps
        self.gamma = nn.Parameter(torch.ones(styles, num_features))
        self.beta = nn.Parameter(torch.zeros(styles, num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize features [B, C, H, W].

        Raises:
            ShapeError: no style weights are set, or they are not for this number of styles.
        """
        weights = _style_weights.get()
        if weights is None:
            raise ShapeError(
                f"{type(self).__name__}: expected weights of its {self.styles} styles, got none; use a generator with "
                f"this norm in a translator that sets them, such as fast_style"
            )
        if weights.shape[-1] != self.styles:
            raise ShapeError(
                f"{type(self).__name__}: expected weights of {self.styles} styles, got {weights.shape[-1]}"
            )
        weights = weights.to(self.gamma)
        gamma, beta = ((weights @ table).expand(x.shape[0], -1) for table in (self.gamma, self.beta))
        return instance_norm(x, self.eps, gamma=gamma, beta=beta)
