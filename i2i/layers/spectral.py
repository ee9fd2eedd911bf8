"""Convolution and linear layer with spectral norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.functional.spectral import power_iteration, spectral_normalize


class _Spectral(nn.Module):
    """The vectors of the power iteration beside a weight; each forward in training takes one step, in eval none."""

    u: Tensor
    v: Tensor

    def _start_vectors(self, weight: Tensor) -> None:
        rows, columns = weight.flatten(1).shape
        self.register_buffer("u", F.normalize(torch.randn(rows), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(columns), dim=0, eps=1e-12))

    def _normalized(self, weight: Tensor) -> Tensor:
        if self.training:
            u, v = power_iteration(weight, self.u)
            self.u.copy_(u)
            self.v.copy_(v)
        else:
            u, v = self.u.clone(), self.v.clone()
        # The graph holds these vectors and never the buffers, so a second forward before the backward spoils nothing.
        return spectral_normalize(weight, u, v)


class SpectralConv2d(_Spectral, nn.Conv2d):
    """`nn.Conv2d` with its weight divided by its spectral norm.

    The state holds `weight` (not normalized), `bias`, `u` and `v`. The options are those of `nn.Conv2d`.

    Source: Miyato et al., ICLR 2018, arXiv:1802.05957; like `torch.nn.utils.spectral_norm` with one power iteration.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(x, self._normalized(self.weight), self.bias)
        return y


class SpectralLinear(_Spectral, nn.Linear):
    """`nn.Linear` with its weight divided by its spectral norm; see `SpectralConv2d`."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self._normalized(self.weight), self.bias)
