"""Projection of sampled features to unit vectors, which contrastive losses compare."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.initialization import Initialization, initialize

EPS = 1e-7
"""Added to a vector's norm before the division by it."""


class Projection(nn.Module):
    """Two linear layers with a ReLU between them, on the last axis.

    Args:
        in_features: numbers C in each input vector [..., C].
        out_features: numbers in each output vector, and of the hidden layer.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, out_features)
        self.second = nn.Linear(out_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.second(self.first(x).relu())
        return projected


class PatchHeads(nn.Module):
    """One `Projection` for each of several feature maps, normalized to unit vectors.

    Args:
        in_features: channels of each map.
        out_features: length of the vectors; None compares the features themselves, and nothing is learned.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, section 3; taesungp/contrastive-unpaired-translation b3ac297,
    `PatchSampleF`, which creates its layers at the first forward.
    """

    def __init__(
        self, in_features: Sequence[int], out_features: int | None = 256, init: Initialization = "xavier"
    ) -> None:
        super().__init__()
        self.mlps = None
        if out_features is not None:
            self.mlps = nn.ModuleList(Projection(channels, out_features) for channels in in_features)
        initialize(self, init)

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return unit vectors [B, P, C] for each map.

        Args:
            features: feature maps, [B, C, H, W] each.
            places: indices of pixels, [P] each, counted row by row: y·W + x.
        """
        sampled = [
            # Indexed before the transposition: otherwise the gradient reaches instance norm in channels_last, which
            # some versions of torch compute wrongly on the CPU.
            feature.flatten(2)[:, :, place].transpose(1, 2)
            for feature, place in zip(features, places, strict=True)
        ]
        if self.mlps is not None:
            sampled = [mlp(patches) for mlp, patches in zip(self.mlps, sampled, strict=True)]
        if optimizations_enabled() and len({(x.shape, x.dtype) for x in sampled}) == 1:
            return _unit(torch.stack(sampled)).unbind()
        return tuple(map(_unit, sampled))


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + EPS)
    return unit
