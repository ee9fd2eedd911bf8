"""Metrics of two sets of images, on the features of both; a set grows with each `update`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor

from i2i.errors import ShapeError
from i2i.evaluation import feature_distances as distances
from i2i.evaluation.feature_distances import Estimate


class SetMetric(ABC):
    """Base of metrics that compare a set of generated images with a set of real ones, by their features.

    A subclass implements `estimate`. Batches of the two sets may come in any portions and need not be equally many;
    the result depends on all features alone.

    Examples:
        >>> metric = KID()
        >>> metric.update(generated=torch.zeros(4, 8), real=torch.zeros(5, 8))
        >>> metric.compute().value
        0.0
    """

    better: ClassVar[Literal["lower", "higher"]] = "lower"
    compares: ClassVar[Literal["pairs", "sets"]] = "sets"
    features: ClassVar[str] = "protocol"
    """Network of the features: the `protocol`'s, or `clip`."""
    with_interval: bool = True
    """Whether `compute` also estimates an interval, which costs about ten times the value."""
    smallest: ClassVar[int] = 2
    """Number of images that each set needs."""

    def __init__(self) -> None:
        self._sets: dict[str, list[Tensor]] = {"generated": [], "real": []}

    def update(self, generated: Tensor | None = None, real: Tensor | None = None) -> None:
        """Add a batch of features to one set or both.

        Args:
            generated: [n, d], features of generated images.
            real: [m, d], features of real images.
        """
        for name, batch in (("generated", generated), ("real", real)):
            if batch is not None:
                if batch.ndim != 2:
                    raise ShapeError(f"{name}: expected features [n, d], got {list(batch.shape)}")
                self._sets[name].append(batch.detach().cpu())

    def compute(self) -> Estimate:
        """Return the figure of all features since the construction, with its interval.

        Raises:
            ShapeError: a set has too few images.
        """
        sets = {name: torch.cat(batches) if batches else torch.empty(0, 1) for name, batches in self._sets.items()}
        for name, features in sets.items():
            if len(features) < self.smallest:
                raise ShapeError(f"expected at least {self.smallest} {name} images, got {len(features)}")
        return self.estimate(sets["generated"], sets["real"])

    def jackknife(
        self,
        statistic: Callable[[Tensor, Tensor], float],
        generated: Tensor,
        real: Tensor,
        bounds: tuple[float, float] = (0.0, math.inf),
    ) -> Estimate:
        """Compute a statistic, and its interval if it is wanted."""
        groups = 10 if self.with_interval else 0
        return distances.jackknife(statistic, generated, real, groups, bounds)

    @abstractmethod
    def estimate(self, generated: Tensor, real: Tensor) -> Estimate:
        """Compute the figure and its interval from features [n, d] and [m, d]."""


class Frechet(SetMetric):
    """Fréchet distance of the features; FID if they are Inception's. 0 is best.

    It falls with the number of images, so figures of different numbers cannot be compared.
    """

    def estimate(self, generated: Tensor, real: Tensor) -> Estimate:
        return self.jackknife(distances.frechet_distance, generated, real)


class KID(SetMetric):
    """Kernel distance of the features, unbiased over all pairs; KID if they are Inception's. 0 is best."""

    def estimate(self, generated: Tensor, real: Tensor) -> Estimate:
        if not self.with_interval:
            return Estimate(distances.kid(generated, real))
        return distances.kid_with_interval(generated, real)


class CMMD(SetMetric):
    """Maximum mean discrepancy of CLIP's embeddings with a Gaussian kernel; 0 is best."""

    features = "clip"

    def estimate(self, generated: Tensor, real: Tensor) -> Estimate:
        return self.jackknife(distances.cmmd, generated, real)


class _Manifold(SetMetric):
    better = "higher"
    part: ClassVar[Literal["precision", "recall", "density", "coverage"]]

    def __init__(self, k: int = 5) -> None:
        super().__init__()
        self.k = k

    @property
    def smallest(self) -> int:  # type: ignore[override]  # a number of the instance here
        return self.k + 1

    def estimate(self, generated: Tensor, real: Tensor) -> Estimate:
        def statistic(x: Tensor, y: Tensor) -> float:
            return float(getattr(distances.manifold(x, y, min(self.k, len(x) - 1, len(y) - 1)), self.part))

        return self.jackknife(statistic, generated, real, bounds=(0, math.inf if self.part == "density" else 1))


class Precision(_Manifold):
    """Share of generated images that are near a real one: realism. 1 is best.

    Args:
        k: neighbour whose distance is the radius of the ball around an image.
    """

    part = "precision"


class Recall(_Manifold):
    """Share of real images that are near a generated one: variety. 1 is best.

    Args:
        k: neighbour whose distance is the radius of the ball around an image.
    """

    part = "recall"


class Density(_Manifold):
    """Mean number of real balls around a generated image, over k: realism that outliers do not inflate.

    Args:
        k: neighbour whose distance is the radius of the ball around an image.
    """

    part = "density"


class Coverage(_Manifold):
    """Share of real images whose ball contains a generated one: variety that outliers do not inflate. 1 is best.

    Args:
        k: neighbour whose distance is the radius of the ball around an image.
    """

    part = "coverage"
