"""The losses `pyramid_perceptual`, features of a frozen network at several sizes, and `feature_matching`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

import i2i
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import OptionError
from i2i.nn.losses.perceptual import Tapped
from i2i_fomm.geometry import antialias, check_scale


class PyramidPerceptual(Tapped):
    r"""Distance of features at several sizes, :math:`\sum_s \sum_t w_t\, \mathbb{E}|f_t(x_s) - f_t(y_s)|`.

    Args:
        taps: names of the layers whose features are compared.
        weights: one for each tap; 1 when empty.
        scales: sizes of the images: 1, 1/2, 1/4 and so on. Images are reduced in [0, 1], zeros beyond their border.
        features: factory of the frozen network; with a VGG19 give `model = "vgg19"` and a file of its weights.

    Source: Siarohin et al., NeurIPS 2019, arXiv:2003.00196, section 3.3; AliaksandrSiarohin/first-order-model c027484.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("blocks.0.0.bn1", "blocks.1.0.bn1", "blocks.2.0.bn1"),
        weights: tuple[float, ...] = (),
        scales: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125),
        features: i2i.Factory[i2i.FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__(features, taps, weights)
        for scale in scales:
            check_scale("scales", scale)
        self.reductions = nn.ModuleList(antialias(3, scale, saved=False) for scale in scales)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare images [B, 3, H, W] in [-1, 1]."""
        terms = []
        for reduce in self.reductions:
            reduced = [2 * reduce((image + 1) / 2) - 1 for image in (prediction, target)]
            terms += [weight * (x - y.detach()).abs().mean() for weight, x, y in self.compared(*reduced)]
        return torch.stack(terms).sum()


class FeatureMatching(nn.Module):
    r"""Distance of a discriminator's features of real and generated images.

    .. math:: \sum_i w_i\, \mathbb{E}|d_i - \hat d_i|

    Args:
        weights: one for each layer; 1 when empty.

    Source: Wang et al., CVPR 2018, arXiv:1711.11585, equation 4; arXiv:2003.00196, section 3.3.
    """

    def __init__(self, weights: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, real_features: Sequence[Tensor], fake_features: Sequence[Tensor]) -> Tensor:
        """Compare features of layers [B, C, h, w].

        Raises:
            OptionError: there are not as many weights as layers.
        """
        if self.weights and len(self.weights) != len(real_features):
            raise OptionError(
                "weights", f"expected one for each of {len(real_features)} layers, got {len(self.weights)}"
            )
        weights = self.weights or (1.0,) * len(real_features)
        pairs = zip(weights, real_features, fake_features, strict=True)
        return torch.stack([weight * (real - fake).abs().mean() for weight, real, fake in pairs]).sum()
