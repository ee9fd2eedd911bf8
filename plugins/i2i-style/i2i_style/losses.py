"""The losses `mean_std`, a distance of feature statistics, and `tv`, total variation."""

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
    r"""Distance of feature statistics, :math:`\sum_t w_t\, \mathbb{E}[(\mu_t - \mu'_t)^2 + (\sigma_t - \sigma'_t)^2]`.

    Args:
        taps: layers of the feature extractor whose statistics are compared.
        weights: weights of the taps; 1 each if empty.
        features: the frozen network.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 13, with squared differences as in its
    implementation.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1"),
        weights: tuple[float, ...] = (),
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__(features, taps, weights)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of images [B, 3, H, W] and [B, 3, h, w] in [-1, 1]."""
        terms = []
        for weight, prediction_features, target_features in self.compared(prediction, target):
            for value, goal in zip(mean_std(prediction_features), mean_std(target_features), strict=True):
                terms.append(weight * (value - goal).square().mean())
        return torch.stack(terms).sum()


class TotalVariation(nn.Module):
    r"""Mean of :math:`|\Delta|^p` between neighbouring pixels: high for noise, low for uniform areas.

    kornia's criterion of this name returns one value for each channel, which a recipe cannot weigh.

    Args:
        power: p; 2 gives smooth images, 1 preserves edges.

    Source: Mahendran and Vedaldi, CVPR 2015, arXiv:1412.0035; in style transfer Johnson et al., ECCV 2016,
    arXiv:1603.08155, section 3.2.
    """

    def __init__(self, power: Literal[1, 2] = 2) -> None:
        super().__init__()
        self.power = power

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss of images [B, C, H, W]."""
        return total_variation(image, self.power)
