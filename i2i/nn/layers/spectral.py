"""Convolutions and linear layers, with and without spectral norm, and their power iterations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.convolution import convolve
from i2i.nn.functional.fused import fuses, modulate
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.padding import pad
from i2i.nn.functional.precision import without_autocast
from i2i.nn.functional.spectral import (
    SingularVectors,
    grouped_power_iterations,
    power_iteration,
    spectral_normalize,
    with_scales,
)
from i2i.nn.private_torch import copy_all_, has_hooks, is_compiled

Padding = Literal["zeros", "reflect", "reflect_same"]
"""How borders are filled: with zeros; mirrored; or mirrored so that the sides are divided by the stride exactly, with
what an even kernel needs more at the bottom and right (TensorFlow's U-GAT-IT)."""
SpectralNorm = bool | Literal["per_phase"]
"""Whether a weight is divided by its spectral norm: one power iteration per forward, or per phase of a step."""


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with the same parameters and results, computed by `i2i.nn.functional.convolution`.

    Args:
        args: positional arguments of `nn.Conv2d`.
        options: keyword arguments of `nn.Conv2d`. `padding_mode` may also be `reflect_same`: `padding` pixels are
            mirrored at the top and left, and at the bottom and right as many as sides of H / stride need.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        same = options.get("padding_mode") == "reflect_same"
        super().__init__(*args, **(options | {"padding_mode": "reflect"} if same else options))
        if same:
            # torch's list for F.pad: left, right, top, bottom.
            kernel, stride, before = self.kernel_size[0], self.stride[0], cast("tuple[int, int]", self.padding)[0]
            self._reversed_padding_repeated_twice = [before, kernel - stride - before] * 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # torch's name
        stride = self.stride[0]
        special = self.groups > 1 or self.dilation != (1, 1) or self.stride != (stride, stride)
        if special or isinstance(self.padding, str):
            return cast(Tensor, super()._conv_forward(input, weight, bias))
        if self.padding_mode != "zeros":
            padded = pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
            return convolve(padded, weight, bias, stride)
        return convolve(input, weight, bias, stride, cast("tuple[int, int]", self.padding))


def padding_ahead(conv: nn.Module, x: Tensor) -> int:
    """Return the reflected pixels on each side of a convolution's input that the operation before it may add.

    Args:
        conv: the convolution.
        x: features that this operation works on; where nothing is fused, each convolution pads its own input.
    """
    if not fuses(x) or type(conv) not in (Conv2d, SpectralConv2d) or has_hooks(conv):
        return 0
    assert isinstance(conv, Conv2d)
    sides = set(conv._reversed_padding_repeated_twice)
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.stride[0] == conv.stride[1]
    return int(sides.pop()) if plain and conv.padding_mode == "reflect" and len(sides) == 1 else 0


class Spectral(nn.Module):
    """Power iteration for a layer's weight: one step for each forward in training, none in evaluation.

    With `per_phase` all forwards of a phase share one step, which `start_phase_` takes.

    A batch may consist of `chunks` equal parts that stand for as many forwards: each part is then divided by the
    spectral norm after its own step.
    """

    u: Tensor
    v: Tensor
    chunks: int = 1
    per_phase: bool = False
    _ahead: SingularVectors | None = None
    _used: SingularVectors | None = None

    @torch.no_grad()
    def start_phase_(self) -> None:
        """Take the power iteration of a phase, with the weight as it is now."""
        if self.per_phase and self.training:
            self.keep_(grouped_power_iterations([cast(Tensor, self.weight)], [self.u], 1)[0])

    @property
    def iterates(self) -> bool:
        """Whether a forward takes power iterations now."""
        return self.training and not self.per_phase

    @torch.no_grad()
    def keep_(self, vectors: SingularVectors) -> None:
        """Keep the vectors after the last iteration for the next one."""
        self.u.copy_(vectors.left[-1])
        self.v.copy_(vectors.right[-1])

    def _register_vectors(self, weight: Tensor) -> None:
        rows, columns = weight.flatten(1).shape
        self.register_buffer("u", F.normalize(torch.randn(rows), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(columns), dim=0, eps=1e-12))

    def _vectors(self, weight: Tensor) -> SingularVectors:
        # The graph holds new tensors and never the buffers: a second forward before the backward, as for real and
        # fake images, would otherwise change in place what the first one's gradient needs.
        if not self.iterates:
            u, v = self.u.clone(), self.v.clone()
            with torch.no_grad(), without_autocast(weight):
                reciprocal = torch.dot(u, torch.mv(weight.flatten(1), v)).reciprocal()
            return SingularVectors(u.unsqueeze(0), v.unsqueeze(0), reciprocal.unsqueeze(0))
        ahead = self._ahead
        if ahead is None or len(ahead.left) < self.chunks:
            self._keep_used_()
            vectors = grouped_power_iterations([weight], [self.u], self.chunks)[0]
            self.keep_(vectors)
            return vectors
        # `iterate_ahead` has computed the iterations of this forward, and perhaps of further ones.
        self._used = SingularVectors(*(part[: self.chunks] for part in ahead))
        self._ahead = SingularVectors(*(part[self.chunks :] for part in ahead))
        return self._used

    def _keep_used_(self) -> None:
        used, self._used, self._ahead = self._used, None, None
        if used is not None:
            self.keep_(used)

    @property
    def normalized_weight(self) -> Tensor:
        """The weight divided by its spectral norm; each access counts as one forward."""
        weight = cast(Tensor, self.weight)
        if self.iterates and not optimizations_enabled():
            u, v = power_iteration(weight, self.u)
            self.u.copy_(u)
            self.v.copy_(v)
            return spectral_normalize(weight, u, v)
        vectors = self._vectors(weight)
        return spectral_normalize(weight, vectors.left[0], vectors.right[0])

    def _scales_output(self, x: Tensor, weight: Tensor) -> bool:
        """Return whether to divide the output instead of the weight: chunks need it, and it pays if it is smaller."""
        return self.chunks > 1 or fuses(x) or (optimizations_enabled() and weight.numel() > x.numel())


class SpectralConv2d(Spectral, Conv2d):
    """`nn.Conv2d` whose weight is divided by its spectral norm.

    The state dict holds `weight` (not normalized), `bias`, and the singular vectors `u` and `v`.

    Args:
        args: positional arguments of `Conv2d`.
        per_phase: whether the power iteration is one per phase of a step instead of one per forward.
        options: keyword arguments of `Conv2d`.

    Source: Miyato et al., ICLR 2018, arXiv:1802.05957; like `torch.nn.utils.spectral_norm` with one power iteration.
    """

    def __init__(self, *args: Any, per_phase: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.per_phase = per_phase
        self._register_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self._scales_output(x, self.weight):
            y, scales = self.unscaled(x)
            if fuses(x):
                return modulate(y, gamma=scales.unsqueeze(1), beta=self.bias)
            bias = None if self.bias is None else self.bias.view(1, -1, 1, 1)
            return _scaled(y, scales.view(-1, 1, 1, 1), bias)
        return self._conv_forward(x, self.normalized_weight, self.bias)

    def unscaled(self, x: Tensor, padded: bool = False) -> tuple[Tensor, Tensor]:
        """Return the convolution without spectral norm and bias, and one over each sample's spectral norm [B].

        Args:
            x: features [B, C, H, W].
            padded: whether they have the padding already.
        """
        weight, scales = with_scales(self.weight, self._vectors(self.weight), x.shape[0])
        y = convolve(x, weight, None, self.stride[0]) if padded else self._conv_forward(x, weight, None)
        return y, scales


class SpectralLinear(Spectral, nn.Linear):
    """`nn.Linear` whose weight is divided by its spectral norm; see `SpectralConv2d`.

    Args:
        in_features: numbers in each input vector.
        out_features: numbers in each output vector.
        bias: whether a bias is added.
        per_phase: whether the power iteration is one per phase of a step instead of one per forward.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, per_phase: bool = False) -> None:
        super().__init__(in_features, out_features, bias)
        self.per_phase = per_phase
        self._register_vectors(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self._scales_output(x, self.weight):
            weight, scales = with_scales(self.weight, self._vectors(self.weight), x.shape[0])
            return _scaled(F.linear(x, weight), scales.view(-1, 1), self.bias)
        return F.linear(x, self.normalized_weight, self.bias)


def spectral_conv(spectral_norm: SpectralNorm, *args: Any, **options: Any) -> Conv2d:
    """Build a `Conv2d`, or a `SpectralConv2d`, with the arguments of `nn.Conv2d`."""
    if spectral_norm:
        return SpectralConv2d(*args, per_phase=spectral_norm == "per_phase", **options)
    return Conv2d(*args, **options)


def spectral_linear(spectral_norm: SpectralNorm, in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Build an `nn.Linear`, or a `SpectralLinear`."""
    if spectral_norm:
        return SpectralLinear(in_features, out_features, bias, per_phase=spectral_norm == "per_phase")
    return nn.Linear(in_features, out_features, bias)


def _scaled(y: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    scales = scales.to(y.dtype)
    return y * scales if bias is None else torch.addcmul(bias.to(y.dtype), y, scales)


@contextmanager
def in_chunks(network: nn.Module, chunks: int) -> Iterator[None]:
    """Treat batches as `chunks` forwards of a network, one after another, each after its own power iteration.

    Args:
        network: holds `Spectral` layers, or none. It is used by one thread, as training is.
        chunks: number of equal parts of each batch.
    """
    layers = [module for module in network.modules() if isinstance(module, Spectral)]
    for layer in layers:
        layer.chunks = chunks
    try:
        yield
    finally:
        for layer in layers:
            layer.chunks = 1


@contextmanager
def iterate_ahead(networks: Iterable[nn.Module], forwards: int) -> Iterator[None]:
    """Compute the power iterations of the next forwards of networks together, in a few operations for all layers.

    A layer that takes fewer forwards inside the context advances by as many as it takes, and one that takes more
    computes the others itself. On the reference path, and for compiled networks, nothing is computed ahead.

    Args:
        networks: hold `Spectral` layers, or none. They are used by one thread, as training is.
        forwards: number of iterations of each layer.
    """
    chosen = [one for one in networks if optimizations_enabled() and not is_compiled(one)]
    modules = dict.fromkeys(module for one in chosen for module in one.modules())
    layers = [module for module in modules if isinstance(module, Spectral) and module.iterates]
    groups: dict[tuple[object, ...], list[Spectral]] = {}
    for layer in layers:
        groups.setdefault((layer.u.device, layer.u.dtype), []).append(layer)
    for group in groups.values():
        weights = [cast(Tensor, layer.weight) for layer in group]
        found = grouped_power_iterations(weights, [layer.u for layer in group], forwards)
        for layer, vectors in zip(group, found, strict=True):
            layer._ahead = vectors
    try:
        yield
    finally:
        used = [(layer, layer._used) for layer in layers if layer._used is not None]
        for layer in layers:
            layer._ahead = layer._used = None
        if used:
            kept = [(layer.u, one.left[-1]) for layer, one in used] + [(layer.v, one.right[-1]) for layer, one in used]
            with torch.no_grad():
                copy_all_([buffer for buffer, _ in kept], [value for _, value in kept])
