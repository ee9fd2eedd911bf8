"""Class activation maps as attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.contracts import AttentionOutput
from i2i.errors import OptionError
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.pooling import Pool, pooled
from i2i.nn.layers.convolution import Conv2d, SpectralLinear


class CAM(nn.Module):
    """Weights features by how much an auxiliary domain classifier relies on each channel.

    For each pool p, a linear classifier without bias gives a logit from the pooled features, and its weight multiplies
    the channels; a 1x1 convolution brings the results back to C channels:

        logit_p = w_p · pool_p(x),   features = act(conv1x1(concat_p(w_p ⊙ x))),   heatmap = sum_c(features)

    Args:
        num_features: channels C of the features [B, C, H, W].
        pools: how the map is pooled, one classifier and one logit each.
        activation: after the 1x1 convolution; ReLU when None.
        spectral_norm: divides the classifiers' weights by their spectral norm for the logits. The multiplication takes
            the weight that is not normalized, and the 1x1 convolution has no spectral norm, as in the official code.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, section 2.1; znxlwm/UGATIT-pytorch b8c4251.
    """

    def __init__(
        self,
        num_features: int,
        pools: tuple[Pool, ...] = ("average", "max"),
        activation: Callable[[Tensor], Tensor] | None = None,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        if not pools or len(set(pools)) != len(pools) or not set(pools) <= set(get_args(Pool)):
            raise OptionError("pools", f"expected 'average', 'max' or both, got {list(pools)}")
        linear = SpectralLinear if spectral_norm else nn.Linear
        self.classifiers = nn.ModuleDict({pool: linear(num_features, 1, bias=False) for pool in pools})
        self.mix = Conv2d(len(pools) * num_features, num_features, 1)
        self.activation: Callable[[Tensor], Tensor] = activation if activation is not None else nn.ReLU()

    def forward(self, x: Tensor) -> AttentionOutput:
        logits = torch.cat([classify(pooled(x, cast(Pool, pool))) for pool, classify in self.classifiers.items()], 1)
        if optimizations_enabled():
            mixed = F.conv2d(x, self._mixing_weight(), self.mix.bias)
        else:
            mixed = self.mix(torch.cat([x * weight for weight in self._weights()], 1))
        features: Tensor = self.activation(mixed)
        return AttentionOutput(features, logits, features.sum(1, keepdim=True))

    def _mixing_weight(self) -> Tensor:
        """Weight [C, C, 1, 1] of one convolution that does what weighting, concatenating and mixing do.

        Both steps are linear, so folding the classifiers' weights into the convolution saves half of its work and a
        feature map of twice the channels.
        """
        parts = self.mix.weight.chunk(len(self.classifiers), 1)
        return torch.stack([part * weight for part, weight in zip(parts, self._weights(), strict=True)]).sum(0)

    def _weights(self) -> list[Tensor]:
        """Each classifier's weight, [1, C, 1, 1]."""
        return [classifier.get_parameter("weight").view(1, -1, 1, 1) for classifier in self.classifiers.values()]
