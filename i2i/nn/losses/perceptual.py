"""Distances between the features of two images in a frozen network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import FeatureExtractor, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import OptionError
from i2i.nn.functional.gram import gram
from i2i.nn.functional.precision import upcast
from i2i.nn.layers.frozen import Frozen

Taps = tuple[str, ...]
Weights = tuple[float, ...]


class Tapped(nn.Module):
    """Base of losses on features: an extractor that is neither trained nor saved, and a weight for each tap.

    Args:
        features: factory of the frozen network.
        taps: names of its layers; the name decides whether features are taken before or after an activation.
        weights: one for each tap; 1 when empty.
    """

    def __init__(self, features: Factory[FeatureExtractor], taps: Taps, weights: Weights) -> None:
        super().__init__()
        self.check(taps, weights)
        extractor = features(taps)
        self.num_features = extractor.num_features
        self.features = Frozen(cast(nn.Module, extractor))
        self.weights = weights or (1.0,) * len(taps)

    @classmethod
    def check(cls, taps: Taps, weights: Weights) -> None:
        """Refuse no taps, and weights of another number."""
        if not taps:
            raise OptionError("taps", "expected at least one layer of the feature extractor, got none")
        if weights and len(weights) != len(taps):
            raise OptionError("weights", f"expected one for each of {len(taps)} taps, got {len(weights)}")

    def compared(self, prediction: Tensor, target: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Yield weight and both images' features for each tap."""
        pairs = zip(self.weights, self.features(prediction), self.features(target), strict=True)
        return ((weight, upcast(x), upcast(y)) for weight, x, y in pairs)


class Perceptual(Tapped):
    r"""Distance of features, :math:`\sum_t w_t\, \mathbb{E}[(f_t(x) - f_t(y))^2]`, or of their absolute values.

    Args:
        taps: names of the layers whose features are compared.
        weights: one for each tap; 1 when empty.
        distance: squared (`l2`) or absolute (`l1`) difference.
        norm: factory of a norm of the features before the comparison; `in` makes the loss invariant to a domain's
            contrast and brightness, as MUNIT's domain-invariant perceptual loss.
        features: factory of the frozen network.

    Source: Johnson et al., ECCV 2016, arXiv:1603.08155, equation 2; with one tap and `l1` CartoonGAN's content loss,
    Chen et al., CVPR 2018, equation 4; `norm` Huang et al., ECCV 2018, arXiv:1804.04732, section 5.1.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("blocks.2.0.bn1",),
        weights: tuple[float, ...] = (),
        distance: Literal["l1", "l2"] = "l2",
        norm: Factory[Norm] | None = None,
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__(features, taps, weights)
        self.distance = distance
        self.norms = None
        if norm is not None:
            norms = [cast(nn.Module, norm(channels)) for channels in self.num_features]
            self.norms = nn.ModuleList(norms).requires_grad_(False)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        terms = []
        for index, (weight, x, y) in enumerate(self.compared(prediction, target)):
            if self.norms is not None:
                x, y = self.norms[index](x), self.norms[index](y)
            difference = x - y
            terms.append(weight * (difference.square() if self.distance == "l2" else difference.abs()).mean())
        return torch.stack(terms).sum()


class Gram(Tapped):
    r"""Distance of Gram matrices, :math:`\sum_t w_t\, \mathbb{E}[(G_t(x) - G_t(y))^2]`, or of their absolute values.

    Args:
        taps: names of the layers whose features are compared.
        weights: one for each tap; 1 when empty.
        distance: squared (`l2`) or absolute (`l1`) difference.
        relative: whether each tap's error is divided by :math:`\mathbb{E}[G_t(y)^2]`, or the mean of absolute values.
            All taps then have a similar influence, whereas without it those with large features dominate; the papers'
            weights are for a VGG without it.
        features: factory of the frozen network.

    Source: Gatys et al., CVPR 2016, equations 4 and 5; Johnson et al., ECCV 2016, arXiv:1603.08155, equation 4. Both
    sum over the matrix; this is the mean, as in their successors' codes.
    """

    def __init__(
        self,
        taps: tuple[str, ...] = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1"),
        weights: tuple[float, ...] = (),
        distance: Literal["l1", "l2"] = "l2",
        relative: bool = False,
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
    ) -> None:
        super().__init__(features, taps, weights)
        self.distance, self.relative = distance, relative

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        terms = []
        for weight, x, y in self.compared(prediction, target):
            target_gram = gram(y)
            error = self._size(gram(x) - target_gram)
            terms.append(weight * (error / self._size(target_gram) if self.relative else error).mean())
        return torch.stack(terms).sum()

    def _size(self, matrix: Tensor) -> Tensor:
        """Mean square or absolute value of each sample's matrix."""
        return (matrix.square() if self.distance == "l2" else matrix.abs()).mean((1, 2))
