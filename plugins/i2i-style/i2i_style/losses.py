"""Distance of feature statistics, and total variation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from i2i.core.contracts import FeatureExtractor
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.nn.losses.perceptual import Tapped
from i2i_style.functional import mean_std, total_variation


class MeanStd(Tapped):
    r"""Distance of statistics, :math:`\sum_t w_t\, \mathbb{E}[(\mu_t - \mu'_t)^2 + (\sigma_t - \sigma'_t)^2]`.

    Args:
        taps: layers whose features are compared.
        weights: of the taps.
        features: the frozen network.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 13, with squared differences as in its code.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1"),
        weights: tuple[float, ...] = (),
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__(features, taps, weights)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        terms = []
        for weight, made, wanted in self.seen(prediction, target):
            for one, other in zip(mean_std(made), mean_std(wanted), strict=True):
                terms.append(weight * (one - other).square().mean())
        return torch.stack(terms).sum()


class TotalVariation(nn.Module):
    r"""Mean of :math:`|\Delta|^p` between neighbouring pixels, which noise raises and flat colour lowers.

    kornia's criterion of this name gives a number for each channel, which no recipe can weigh.

    Args:
        power: p; 2 is smooth, 1 spares edges.

    Source: Mahendran and Vedaldi, CVPR 2015, arXiv:1412.0035; in style transfer Johnson et al., ECCV 2016,
    arXiv:1603.08155, section 3.2.
    """

    def __init__(self, power: Literal[1, 2] = 2) -> None:
        super().__init__()
        self.power = power

    def forward(self, image: Tensor) -> Tensor:
        return total_variation(image, self.power)
