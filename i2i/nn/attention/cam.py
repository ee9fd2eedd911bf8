"""Class activation maps as attention: U-GAT-IT's, and NICE-GAN's with a residual connection."""

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
from i2i.nn.layers.spectral import Conv2d, SpectralLinear, SpectralNorm, spectral_linear


class CAM(nn.Module):
    """Weight channels by how much an auxiliary domain classifier relies on each of them.

    For each pool p, a linear classifier without bias computes a logit from the pooled features, and its weight
    multiplies the channels; a 1x1 convolution maps the results back to C channels:

        logit_p = w_p · pool_p(x),   features = act(conv1x1(concat_p(w_p ⊙ x))),   heatmap = sum_c(features)

    Args:
        num_features: channels C of the features [B, C, H, W].
        pools: poolings of the map, with one classifier and one logit each.
        activation: after the 1x1 convolution; ReLU when None.
        spectral_norm: whether the classifiers' weights are divided by their spectral norm for the logits. The
            multiplication uses the weight without it, and the 1x1 convolution has none, as in the official code.
        shared: whether all pools share one classifier with a bias b, whose normalized weight plus b multiplies the
            channels. All weighted maps are then equal, as in the official TensorFlow code.

    Raises:
        OptionError: no pools, an unknown one, or one twice; or `shared` with one power iteration per forward.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, section 2.1; znxlwm/UGATIT-pytorch b8c4251. With
    `shared`: taki0112/UGATIT d508e8f.
    """

    def __init__(
        self,
        num_features: int,
        pools: tuple[Pool, ...] = ("average", "max"),
        activation: Callable[[Tensor], Tensor] | None = None,
        spectral_norm: SpectralNorm = False,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if not pools or len(set(pools)) != len(pools) or not set(pools) <= set(get_args(Pool)):
            raise OptionError("pools", f"expected 'average', 'max' or both, got {list(pools)}")
        if shared and spectral_norm is True:
            raise OptionError(
                "shared", "expected spectral_norm = false or 'per_phase' with a shared classifier, got true"
            )
        self.pools = pools
        self.classifiers = nn.ModuleDict(
            {
                name: spectral_linear(spectral_norm, num_features, 1, shared)
                for name in (("shared",) if shared else pools)
            }
        )
        self.mix = Conv2d(len(pools) * num_features, num_features, 1)
        self.activation: Callable[[Tensor], Tensor] = activation if activation is not None else nn.ReLU()

    def forward(self, x: Tensor) -> AttentionOutput:
        if "shared" in self.classifiers:
            classifier = cast(nn.Linear, self.classifiers["shared"])
            weight = classifier.normalized_weight if isinstance(classifier, SpectralLinear) else classifier.weight
            logits = torch.cat([F.linear(pooled(x, pool), weight, classifier.bias) for pool in self.pools], 1)
            weights = [(weight + classifier.bias).view(1, -1, 1, 1)] * len(self.pools)
        else:
            logits = torch.cat([self.classifiers[pool](pooled(x, pool)) for pool in self.pools], 1)
            weights = [self.classifiers[pool].get_parameter("weight").view(1, -1, 1, 1) for pool in self.pools]
        if optimizations_enabled():
            # Weighting and mixing are both linear: folding the classifiers' weights into the convolution saves half of
            # its work, and a feature map of twice the channels.
            parts = self.mix.weight.chunk(len(weights), 1)
            folded = torch.stack([part * weight for part, weight in zip(parts, weights, strict=True)]).sum(0)
            mixed = F.conv2d(x, folded, self.mix.bias)
        else:
            mixed = self.mix(torch.cat([x * weight for weight in weights], 1))
        features: Tensor = self.activation(mixed)
        return AttentionOutput(features, logits, features.sum(1, keepdim=True))


class ResidualCAM(nn.Module):
    """Add to features what an auxiliary domain classifier relies on, with a learned factor that starts at 0.

    One linear classifier without bias takes both poolings side by side, and its weight [w_average, w_max] multiplies
    the channels:

        logit = w · concat(average(x), max(x)),   features = act(x + scale · conv1x1(concat(w_average ⊙ x, w_max ⊙ x)))

    The heat map is the sum of the features over their channels.

    Args:
        num_features: channels C of the features [B, C, H, W].
        activation: after the sum; leaky ReLU of slope 0.2 when None.
        spectral_norm: whether the classifier's weight is divided by its spectral norm for the logit. The
            multiplication uses the weight without it, as in the official code.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273, section 3.2; alpc91/NICE-GAN-pytorch 1b114f1, where
    `scale` is called `lamda`.
    """

    def __init__(
        self,
        num_features: int,
        activation: Callable[[Tensor], Tensor] | None = None,
        spectral_norm: SpectralNorm = False,
    ) -> None:
        super().__init__()
        self.classifier = spectral_linear(spectral_norm, 2 * num_features, 1, bias=False)
        self.mix = Conv2d(2 * num_features, num_features, 1)
        self.scale = nn.Parameter(torch.zeros(1))
        self.activation: Callable[[Tensor], Tensor] = activation if activation is not None else nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> AttentionOutput:
        logits = self.classifier(torch.cat([pooled(x, "average"), pooled(x, "max")], 1))
        # Weighting and mixing are both linear, so one convolution with the product of their weights does both.
        by_average, by_max = (self.mix.weight * self.classifier.weight.view(1, -1, 1, 1)).chunk(2, 1)
        features: Tensor = self.activation(x + self.scale * F.conv2d(x, by_average + by_max, self.mix.bias))
        return AttentionOutput(features, logits, features.sum(1, keepdim=True))
