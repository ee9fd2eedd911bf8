"""Convolution and linear layer with spectral norm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.spectral import power_iteration, spectral_norm, spectral_normalize
from i2i.nn.layers.conv2d import Conv2d


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

    def _vectors(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        # The graph holds new vectors and never the buffers, so a second forward before the backward spoils nothing.
        if not self.training:
            return self.u.clone(), self.v.clone()
        u, v = power_iteration(weight, self.u)
        self.u.copy_(u)
        self.v.copy_(v)
        return u, v

    def _scales_output(self, x: Tensor, weight: Tensor) -> bool:
        """Whether the output is divided, as it must be when its parts have norms of their own, and not the weight."""
        return self.chunks > 1 or (weight.numel() > x.numel() and optimizations_enabled())

    def _share(self, weight: Tensor, batch: int) -> Tensor:
        """One over each sample's spectral norm, [B]: one step for each part of the batch, in their order."""
        norms = spectral_norm(weight, *(self._vectors(weight) for _ in range(self.chunks)))
        return norms.reciprocal().repeat_interleave(batch // self.chunks)


class SpectralConv2d(Spectral, Conv2d):
    """`nn.Conv2d` with its weight divided by its spectral norm.

    The state holds `weight` (not normalized), `bias`, `u` and `v`. The options are those of `nn.Conv2d`.

    Source: Miyato et al., ICLR 2018, arXiv:1802.05957; like `torch.nn.utils.spectral_norm` with one power iteration.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self._scales_output(x, self.weight):
            share = self._share(self.weight, len(x)).view(-1, 1, 1, 1)
            bias = None if self.bias is None else self.bias.view(1, -1, 1, 1)
            return _scaled(self._conv_forward(x, self.weight, None), share, bias)
        return self._conv_forward(x, spectral_normalize(self.weight, *self._vectors(self.weight)), self.bias)


class SpectralLinear(Spectral, nn.Linear):
    """`nn.Linear` with its weight divided by its spectral norm; see `SpectralConv2d`."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self._start_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self._scales_output(x, self.weight):
            return _scaled(F.linear(x, self.weight), self._share(self.weight, len(x)).view(-1, 1), self.bias)
        return F.linear(x, spectral_normalize(self.weight, *self._vectors(self.weight)), self.bias)


def _scaled(y: Tensor, share: Tensor, bias: Tensor | None) -> Tensor:
    share = share.to(y.dtype)
    return y * share if bias is None else torch.addcmul(bias.to(y.dtype), y, share)


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
