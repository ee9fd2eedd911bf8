"""A class activation map that is added to the features instead of replacing them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.contracts import AttentionOutput
from i2i.nn.functional.pooling import pooled
from i2i.nn.layers.convolution import Conv2d, SpectralLinear


class ResidualCAM(nn.Module):
    """Adds to features what an auxiliary domain classifier relies on, by a learned share that starts at 0.

    One linear classifier without bias sees both pools side by side, and its weight [w_average, w_max] multiplies the
    channels:

        logit = w · concat(average(x), max(x)),   features = act(x + scale · conv1x1(concat(w_average ⊙ x, w_max ⊙ x)))

    The heat map is the sum of the features over their channels.

    Args:
        num_features: channels C of the features [B, C, H, W].
        activation: after the sum; leaky ReLU when None.
        spectral_norm: divides the classifier's weight by its spectral norm for the logit. The multiplication takes the
            weight that is not normalized, as in the official code.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273, section 3.2; alpc91/NICE-GAN-pytorch 1b114f1, where
    `scale` is called `lamda`.
    """

    def __init__(
        self,
        num_features: int,
        activation: Callable[[Tensor], Tensor] | None = None,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        linear = SpectralLinear if spectral_norm else nn.Linear
        self.classifier = linear(2 * num_features, 1, bias=False)
        self.mix = Conv2d(2 * num_features, num_features, 1)
        self.scale = nn.Parameter(torch.zeros(1))
        self.activation: Callable[[Tensor], Tensor] = activation if activation is not None else nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> AttentionOutput:
        logits = self.classifier(torch.cat([pooled(x, "average"), pooled(x, "max")], 1))
        # Weighting and mixing are both linear, so one convolution with the product of their weights does both.
        weight = self.mix.weight * self.classifier.weight.view(1, -1, 1, 1)
        by_average, by_max = weight.chunk(2, 1)
        features: Tensor = self.activation(x + self.scale * F.conv2d(x, by_average + by_max, self.mix.bias))
        return AttentionOutput(features, logits, features.sum(1, keepdim=True))
