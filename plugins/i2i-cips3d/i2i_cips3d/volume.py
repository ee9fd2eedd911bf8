"""Volume rendering: the integral along rays, and samples that are drawn where the integral has its weight."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LAST = 1e10
"""Length of the interval behind the last sample: a positive density there is opaque."""
EPS = 1e-10
RESAMPLING_EPS = 1e-5


class Integral(NamedTuple):
    """Result of `integrate`.

    Args:
        feature: [..., C].
        depth: mean depth [..., 1].
        weights: of the samples, [..., N, 1].
    """

    feature: Tensor
    depth: Tensor
    weights: Tensor


def integrate(
    features: Tensor,
    density: Tensor,
    depth: Tensor,
    activation: Literal["relu", "softplus"] = "relu",
    last_back: bool = False,
    white_back: bool = False,
) -> Integral:
    r"""Integrate features along rays.

    .. math:: \alpha_i = 1 - e^{-\delta_i a(\sigma_i)},\quad w_i = \alpha_i \prod_{j<i} (1 - \alpha_j + 10^{-10}),
        \quad f = \sum_i w_i f_i

    with the distance :math:`\delta_i` to the next sample, which is 1e10 for the last one.

    Args:
        features: [..., N, C].
        density: sigma [..., N, 1], noise included.
        depth: increasing along the rays, [..., N, 1].
        activation: a, which makes densities positive.
        last_back: whether the last sample gets the weight that is left, as a background.
        white_back: whether what is left is white, that is 1 in all channels.

    Source: Mildenhall et al., NeRF, arXiv:2003.08934, equation 3; PeterouZh/CIPS-3D 5956813, `fancy_integration`.
    """
    delta = F.pad(depth[..., 1:, :] - depth[..., :-1, :], (0, 0, 0, 1), value=LAST)
    positive = F.relu(density) if activation == "relu" else F.softplus(density)
    alpha = 1 - torch.exp(-delta * positive)
    factors = F.pad(1 - alpha + EPS, (0, 0, 1, 0), value=1.0)
    # ONNX has no cumulative product.
    products = factors.log().cumsum(-2).exp() if torch.compiler.is_exporting() else factors.cumprod(-2)
    passed = products[..., :-1, :]
    weights = alpha * passed
    total = weights.sum(-2)
    if last_back:
        weights = torch.cat([weights[..., :-1, :], weights[..., -1:, :] + 1 - total[..., None, :]], -2)
    feature = (weights * features).sum(-2)
    if white_back:
        feature = feature + 1 - total
    return Integral(feature, (weights * depth).sum(-2), weights)


def resample(bins: Tensor, weights: Tensor, uniform: Tensor) -> Tensor:
    """Draw depths from a piecewise constant density.

    Args:
        bins: edges of the pieces, [R, N + 1].
        weights: of the pieces, [R, N]; 1e-5 is added to each.
        uniform: numbers in [0, 1], [R, M]; equidistant ones give equidistant quantiles.

    Returns:
        depths [R, M], without a gradient where none of the inputs has one.

    Source: Mildenhall et al., NeRF, arXiv:2003.08934, section 5.2.
    """
    weights = weights + RESAMPLING_EPS
    share = weights / weights.sum(-1, keepdim=True)
    cumulated = F.pad(share.cumsum(-1), (1, 0))
    # The number of smaller values, which is what torch.searchsorted returns; ONNX has no such operation.
    index = (cumulated[..., None, :] < uniform[..., None]).sum(-1)
    below, above = (index - 1).clamp(min=0), index.clamp(max=weights.shape[-1])
    low, high = cumulated.gather(-1, below), cumulated.gather(-1, above)
    span = torch.where(high - low < RESAMPLING_EPS, 1.0, high - low)
    start, end = bins.gather(-1, below), bins.gather(-1, above)
    return start + (uniform - low) / span * (end - start)
