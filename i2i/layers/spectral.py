"""Convolution and linear layer with spectral norm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.functional.spectral import power_iteration, spectral_norm, spectral_normalize


class Spectral(nn.Module):
    """The vectors of the power iteration beside a weight; each forward in training takes one step, in eval none.

    A batch may consist of `chunks` equal parts that stand for as many forwards: each part is then divided by the
    spectral norm after its own step.
    """

    u: Tensor
    v: Tensor
    chunks: int = 1

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

    def _shares(self, weight: Tensor, batch: int) -> Tensor:
        """One over each sample's spectral norm, [B]: one step for each part of the batch, in their order."""
        found = []
        for _ in range(self.chunks):
            u, v = power_iteration(weight, self.u) if self.training else (self.u.clone(), self.v.clone())
            if self.training:
                self.u.copy_(u)
                self.v.copy_(v)
            found.append(spectral_norm(weight, u, v))
        return torch.stack(found).reciprocal().repeat_interleave(batch // self.chunks)


class SpectralConv2d(Spectral, nn.Conv2d):
    """`nn.Conv2d` with its weight divided by its spectral norm.

    The state holds `weight` (not normalized), `bias`, `u` and `v`. The options are those of `nn.Conv2d`.

    Source: Miyato et al., ICLR 2018, arXiv:1802.05957; like `torch.nn.utils.spectral_norm` with one power iteration.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.chunks > 1:
            share = self._shares(self.weight, len(x)).view(-1, 1, 1, 1)
            y: Tensor = self._conv_forward(x, self.weight, None) * share.to(x.dtype)
            return y if self.bias is None else y + self.bias.to(y.dtype).view(1, -1, 1, 1)
        whole: Tensor = self._conv_forward(x, self._normalized(self.weight), self.bias)
        return whole


class SpectralLinear(Spectral, nn.Linear):
    """`nn.Linear` with its weight divided by its spectral norm; see `SpectralConv2d`."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.chunks > 1:
            y = F.linear(x, self.weight) * self._shares(self.weight, len(x)).view(-1, 1).to(x.dtype)
            return y if self.bias is None else y + self.bias.to(y.dtype)
        return F.linear(x, self._normalized(self.weight), self.bias)


@contextmanager
def in_chunks(network: nn.Module, chunks: int) -> Iterator[None]:
    """Takes batches of equal parts for as many forwards of a network, each part after its own power iteration."""
    layers = [module for module in network.modules() if isinstance(module, Spectral)]
    for layer in layers:
        layer.chunks = chunks
    try:
        yield
    finally:
        for layer in layers:
            layer.chunks = 1
