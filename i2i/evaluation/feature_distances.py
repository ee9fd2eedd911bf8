"""Distances between two sets of feature vectors, computed in float64.

All functions take `generated` [n, d] and `real` [m, d]. None of them knows which network the features come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Estimate(NamedTuple):
    """A value with an interval.

    Args:
        value: the point estimate.
        low: lower end of the interval; None where there is none.
        high: upper end.
        interval: what the interval is, such as "95 %, bootstrap over images".
    """

    value: float
    low: float | None = None
    high: float | None = None
    interval: str = "none"


def frechet_distance(generated: Tensor, real: Tensor) -> float:
    r"""Compute the Fréchet distance of two normal distributions with the sets' means and covariances.

    .. math:: |\mu_x - \mu_y|^2 + \operatorname{Tr}(\Sigma_x) + \operatorname{Tr}(\Sigma_y)
        - 2 \operatorname{Tr}\big((\Sigma_x \Sigma_y)^{1/2}\big)

    With centered features :math:`X / \sqrt{n - 1}` and :math:`Y / \sqrt{m - 1}` the last trace is the nuclear norm of
    :math:`X Y^\top`, so no root of a singular matrix is needed where there are fewer images than features.

    Source: Heusel et al., NeurIPS 2017, arXiv:1706.08500, equation 6.

    Args:
        generated: [n, d], n > 1.
        real: [m, d], m > 1.
    """
    x, y = generated.double(), real.double()
    difference = x.mean(0) - y.mean(0)
    x = (x - x.mean(0)) / (len(x) - 1) ** 0.5
    y = (y - y.mean(0)) / (len(y) - 1) ** 0.5
    if min(len(x), len(y)) > x.shape[1]:
        # The nuclear norm of X Y^T equals that of the product of the triangular factors, [d, d] instead of [n, m].
        x, y = torch.linalg.qr(x, mode="r").R, torch.linalg.qr(y, mode="r").R
    root = torch.linalg.matrix_norm(x @ y.mT, ord="nuc")
    return float(difference.square().sum() + x.square().sum() + y.square().sum() - 2 * root)


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Compute KID's kernel (x y / d + 1) ** 3 for all pairs, [n, m]."""
    return (x.double() @ y.double().mT / x.shape[1] + 1) ** 3


def kid(generated: Tensor, real: Tensor) -> float:
    """Compute the unbiased squared maximum mean discrepancy over all pairs, the kernel inception distance.

    It has no subsets and draws nothing. Values slightly below 0 are legitimate: the estimate of a distance of 0 is 0 on
    average.

    Source: Bińkowski et al., ICLR 2018, arXiv:1801.01401, equation 4.

    Args:
        generated: [n, d], n > 1.
        real: [m, d], m > 1.
    """
    return _mmd2(*(polynomial_kernel(*pair) for pair in _pairs(generated, real)))


def kid_with_interval(generated: Tensor, real: Tensor, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Compute `kid` with a 95 % bootstrap interval over images.

    A resample counts each image of a set a number of times. Pairs of an image with its own copies are left out like
    the diagonal, because their kernel values would shift every resample upwards.

    Args:
        generated: [n, d], n > 1.
        real: [m, d], m > 1.
        resamples: number of resamples.
        seed: seed of the resamples.
    """
    within_x, between, within_y = (polynomial_kernel(*pair) for pair in _pairs(generated, real))
    value = _mmd2(within_x, between, within_y)
    draw = np.random.RandomState(seed)
    x, y = (
        torch.from_numpy(draw.multinomial(count, np.full(count, 1 / count), resamples)).double()
        for count in (len(generated), len(real))
    )
    cross = ((x @ between) * y).sum(1) / (len(generated) * len(real))
    values = _weighted_mean(within_x, x) + _weighted_mean(within_y, y) - 2 * cross
    low, high = (float(values.nanquantile(share)) for share in (0.025, 0.975))
    return Estimate(value, low, high, f"95 %, bootstrap over images, {resamples} resamples")


def kid_of_subsets(
    generated: Tensor, real: Tensor, subsets: int, size: int, seed: int, generated_first: bool = True
) -> Estimate:
    """Compute the mean of the unbiased estimate over random subsets, as evaluation tools do.

    The subsets come from NumPy's generator, so that they are those of the tool that a protocol names.

    Args:
        generated: [n, d].
        real: [m, d].
        subsets: number of pairs of subsets.
        size: images of a subset, at most n and m.
        seed: of `numpy.random.RandomState`.
        generated_first: whether a subset of the generated set is drawn before the one of the real set.

    Returns:
        The mean and an interval of one standard deviation over the subsets.
    """
    within_x, between, within_y = (polynomial_kernel(*pair) for pair in _pairs(generated, real))
    draw = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        counts = (len(generated), len(real)) if generated_first else (len(real), len(generated))
        first, second = (torch.from_numpy(draw.choice(count, size, replace=False)) for count in counts)
        i, j = (first, second) if generated_first else (second, first)
        values.append(_mmd2(within_x[i][:, i], between[i][:, j], within_y[j][:, j]))
    mean, deviation = float(np.mean(values)), float(np.std(values))
    interval = f"standard deviation over {subsets} subsets of {size}"
    return Estimate(mean, mean - deviation, mean + deviation, interval)


def kid_of_blocks(generated: Tensor, real: Tensor, largest: int = 10) -> Estimate:
    """Compute the mean of the unbiased estimate over consecutive blocks, as TF-GAN does; it depends on the order.

    Both sets are cut into the same number of blocks, whose sizes differ by one at most and follow the set's order.

    Args:
        generated: [n, d], in the order of the file names.
        real: [m, d], in the order of the file names.
        largest: largest number of images in a block.

    Returns:
        The mean and an interval of one standard error over the blocks; none for a single block.
    """
    count = -(-max(len(generated), len(real)) // largest)
    # Sizes n // count, and one more for the last n % count blocks.
    edges = [
        np.cumsum([0] + [total // count + (index >= count - total % count) for index in range(count)])
        for total in (len(generated), len(real))
    ]
    values = [kid(generated[edges[0][i] : edges[0][i + 1]], real[edges[1][i] : edges[1][i + 1]]) for i in range(count)]
    mean = float(np.mean(values))
    if count == 1:
        return Estimate(mean)
    error = float(np.std(values, ddof=1) / count**0.5)
    return Estimate(mean, mean - error, mean + error, f"standard error over {count} blocks")


class Manifold(NamedTuple):
    """How two sets cover each other, from the distances to the k-th nearest neighbour in each set."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(generated: Tensor, real: Tensor, k: int = 5) -> Manifold:
    """Compute precision, recall, density and coverage.

    Source: Kynkäänniemi et al., NeurIPS 2019, arXiv:1904.06991; Naeem et al., ICML 2020, arXiv:2002.09797, equations
    3, 4 and 6. A point counts as inside a ball if it is nearer than the radius.

    Args:
        generated: [n, d], n > k.
        real: [m, d], m > k.
        k: neighbour whose distance is the radius of the ball around an image.
    """
    x, y = generated.double(), real.double()
    radius_x, radius_y = (_distances(points, points).kthvalue(k + 1, dim=1).values for points in (x, y))
    between = _distances(y, x)  # [m, n]
    inside = between < radius_y[:, None]
    return Manifold(
        precision=float(inside.any(0).double().mean()),
        recall=float((between < radius_x[None]).any(1).double().mean()),
        density=float(inside.sum(0).double().mean() / k),
        coverage=float((between.min(1).values < radius_y).double().mean()),
    )


def cmmd(generated: Tensor, real: Tensor, sigma: float = 10.0, scale: float = 1000.0) -> float:
    """Compute the maximum mean discrepancy with a Gaussian kernel, including the diagonal, times `scale`.

    Features are normalized to unit length. In float32 the result would be off by 2e-4, so it is computed in float64.

    Source: Jayasumana et al., CVPR 2024, arXiv:2401.09603, for CLIP's image embeddings.

    Args:
        generated: [n, d].
        real: [m, d].
        sigma: width of the kernel.
        scale: factor of the result.
    """
    x, y = (torch.nn.functional.normalize(features.double(), dim=1) for features in (generated, real))

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-(2 - 2 * (a @ b.mT)).clamp_min(0) / (2 * sigma**2)).mean()

    return float(scale * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)))


def jackknife(
    statistic: Callable[[Tensor, Tensor], float],
    generated: Tensor,
    real: Tensor,
    groups: int = 10,
    bounds: tuple[float, float] = (0.0, math.inf),
) -> Estimate:
    """Compute a statistic with a 95 % interval from the values without each of some groups of images.

    A bootstrap would not do for statistics that depend on the number of distinct images, such as the Fréchet distance:
    its resamples contain about 63 % of them. The groups follow from the order, so nothing is drawn.

    Args:
        statistic: function of two sets.
        generated: [n, d].
        real: [m, d].
        groups: number of groups; fewer where a set has fewer images, and 0 for no interval.
        bounds: smallest and largest value of the statistic, which limit the interval.
    """
    value = statistic(generated, real)
    groups = min(groups, len(generated), len(real))
    if groups < 3 or min(len(generated), len(real)) < 2 * groups:
        return Estimate(value)
    group_x, group_y = (torch.arange(len(features)) % groups for features in (generated, real))
    without = [statistic(generated[group_x != group], real[group_y != group]) for group in range(groups)]
    error = ((groups - 1) * float(np.var(without))) ** 0.5
    low, high = max(bounds[0], value - 1.96 * error), min(bounds[1], value + 1.96 * error)
    return Estimate(value, low, high, f"95 %, jackknife over {groups} groups")


def mean_with_interval(values: Tensor, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Compute the mean of per-image values with a 95 % bootstrap interval.

    Args:
        values: [n].
        resamples: number of resamples.
        seed: seed of the resamples.
    """
    values = values.double()
    if len(values) < 2:
        return Estimate(float(values.mean()))
    picked = np.random.RandomState(seed).randint(0, len(values), (resamples, len(values)))
    means = values[torch.from_numpy(picked)].mean(1)
    low, high = (float(means.quantile(share)) for share in (0.025, 0.975))
    return Estimate(float(values.mean()), low, high, f"95 %, bootstrap over images, {resamples} resamples")


def _pairs(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (x, x), (x, y), (y, y)


def _mmd2(within_x: Tensor, between: Tensor, within_y: Tensor) -> float:
    """Unbiased estimate from the three kernel matrices."""
    means = [(kernel.sum() - kernel.trace()) / (len(kernel) * (len(kernel) - 1)) for kernel in (within_x, within_y)]
    return float(means[0] + means[1] - 2 * between.mean())


def _weighted_mean(kernel: Tensor, weights: Tensor) -> Tensor:
    """Mean kernel value of all pairs of distinct images, for each row of weights [resamples, n]."""
    diagonal = kernel.diagonal()
    sums = ((weights @ kernel) * weights).sum(1) - weights.square() @ diagonal
    return sums / (weights.sum(1).square() - weights.square().sum(1))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # The direct formula: the faster one by a matrix product gives an image a distance to itself that is not 0.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
