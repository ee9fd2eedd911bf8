"""Distances between what a frozen network sees in two images: content, Gram matrices, means and deviations."""

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
    """What the losses here share: an extractor that is neither trained nor saved with them, and a weight for each tap.

    Args:
        features: the frozen network.
        taps: its layers by name. Whether features are seen before or after an activation is a matter of the name.
        weights: of the taps; 1 for each where there are none.
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
        """At least one tap, and as many weights, if any."""
        if not taps:
            raise OptionError("taps", "expected at least one layer of the feature extractor, got none")
        if weights and len(weights) != len(taps):
            raise OptionError("weights", f"expected one for each of {len(taps)} taps, got {len(weights)}")

    def seen(self, prediction: Tensor, target: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Weight and both images' features for each tap."""
        pairs = zip(self.weights, self.features(prediction), self.features(target), strict=True)
        return ((weight, upcast(made), upcast(wanted)) for weight, made, wanted in pairs)


class Perceptual(Tapped):
    r"""Distance of features, :math:`\sum_t w_t\, \mathbb{E}[(f_t(x) - f_t(y))^2]`, or of their absolute values.

    Args:
        taps: layers whose features are compared.
        weights: of the taps.
        distance: `l2` or `l1`.
        norm: of the features before they are compared; `in` makes the loss blind to what a domain's contrast and
            brightness do to them, as MUNIT's domain-invariant perceptual loss.
        features: the frozen network.

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
        for index, (weight, made, wanted) in enumerate(self.seen(prediction, target)):
            if self.norms is not None:
                made, wanted = self.norms[index](made), self.norms[index](wanted)
            difference = made - wanted
            terms.append(weight * (difference.square() if self.distance == "l2" else difference.abs()).mean())
        return torch.stack(terms).sum()


class Gram(Tapped):
    r"""Distance of Gram matrices, :math:`\sum_t w_t\, \mathbb{E}[(G_t(x) - G_t(y))^2]`, or of their absolute values.

    Args:
        taps: layers whose features are compared.
        weights: of the taps.
        distance: `l2` or `l1`.
        relative: divides each tap's error by :math:`\mathbb{E}[G_t(y)^2]`, or by that of absolute values. Taps of any
            network then count alike, while without it those with large features do; the papers' weights belong to a VGG
            without it.
        features: the frozen network.

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
        for weight, made, wanted in self.seen(prediction, target):
            goal = gram(wanted)
            error = self._size(gram(made) - goal)
            terms.append(weight * (error / self._size(goal) if self.relative else error).mean())
        return torch.stack(terms).sum()

    def _size(self, matrix: Tensor) -> Tensor:
        """Mean square or absolute value of each sample's matrix."""
        return (matrix.square() if self.distance == "l2" else matrix.abs()).mean((1, 2))
