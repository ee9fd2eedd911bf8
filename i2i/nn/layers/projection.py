"""Features at chosen places, projected to vectors of length 1 that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i.nn.layers.initialization import Initialization, initialize

EPS = 1e-7
"""Added to a vector's length before it is divided by it."""


class Projection(nn.Module):
    """A linear layer, ReLU, and another one, on the last axis."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, out_features)
        self.second = nn.Linear(out_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.second(self.first(x).relu())
        return projected


class PatchHeads(nn.Module):
    """A projection for each of several feature maps.

    Args:
        in_features: channels of each map.
        out_features: length of the vectors; None compares the features as they are, and nothing is learnt.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, section 3; taesungp/contrastive-unpaired-translation b3ac297,
    `PatchSampleF`, which makes its layers when it first sees features.
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
        """Vectors [B, P, C] for each map.

        Args:
            features: [B, C, H, W] each.
            places: [P] each, of pixels counted by rows: y·W + x.
        """
        sampled = [
            # Not permuted before it is indexed: the gradient would reach instance norm in channels_last, which some
            # versions of torch get wrong on the CPU.
            feature.flatten(2)[:, :, place].transpose(1, 2)
            for feature, place in zip(features, places, strict=True)
        ]
        if self.mlps is not None:
            sampled = [mlp(patches) for mlp, patches in zip(self.mlps, sampled, strict=True)]
        return tuple(x / (torch.linalg.vector_norm(x, dim=2, keepdim=True) + EPS) for x in sampled)
