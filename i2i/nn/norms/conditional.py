"""Instance norm with a scale and a shift for each of several styles."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.nn.functional.normalization import instance_norm
from i2i.nn.layers.conditioned import Conditioned


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
