"""Instance norm, layer norm and their learned mix.

All three scale and shift each map by one number per sample and channel. The first two are torch's group norm, one
kernel forward and one backward; the mix needs the moments of both, and is one multiply-add after them. The reference
path computes the definitions.

torch's `F.instance_norm` is not used: on a CPU its gradient is wrong (relative error 1.3, torch 2.13 and 2.15) for a
batch of one when the incoming gradient is channels_last.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError
from i2i.nn.functional.moments import affine, needs_no_upcast, with_moments
from i2i.nn.functional.optimizations import device_type, optimizations_enabled
from i2i.nn.functional.precision import upcast, without_autocast
from i2i.nn.functional.whole_image import whole_image

EpsOn = Literal["var", "std"]
"""Where eps is added: to the variance inside the root, or to the standard deviation outside."""


def instance_norm(
    x: Tensor,
    eps: float = 1e-5,
    unbiased: bool = False,
    eps_on: EpsOn = "var",
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    r"""Normalize each sample's channels over their pixels.

    .. math:: y = \gamma\, (x - \mu_{hw}) / \sqrt{\sigma^2_{hw} + \epsilon} + \beta

    or, with `eps_on="std"`, divided by :math:`\sigma_{hw} + \epsilon`.

    Args:
        x: features [B, C, H, W]; half precision is computed in float32.
        eps: keeps the divisor from 0.
        unbiased: divides the sum of squares by H·W - 1 instead of H·W.
        eps_on: adds eps to the variance or to the standard deviation.
        gamma: scale, [C], or [B, C] when every sample has its own; 1 when None.
        beta: shift, of either shape; 0 when None.

    Returns:
        [B, C, H, W] in the type of `x`.

    Raises:
        ShapeError: a map has one pixel, whose variance would silently be 0 or NaN; or gamma or beta does not fit.

    Source: Ulyanov et al., Instance Normalization, arXiv:1607.08022.

    Example:
        >>> instance_norm(torch.tensor([[[[1.0, 3.0]]]]), eps=0.0)
        tensor([[[[-1.,  1.]]]])
    """
    _check_pixels(x, "instance_norm")
    if _has_one_kernel(eps_on):
        return _group_norm(x, x.shape[1], eps, unbiased, gamma, beta)
    x_, mean, variance = _moments(x)
    scale = _reciprocal_std(variance, math.prod(x.shape[2:]), eps, unbiased, eps_on)
    return _scaled(x, x_, scale, -mean * scale, gamma, beta)


def layer_norm(
    x: Tensor,
    eps: float = 1e-5,
    unbiased: bool = False,
    eps_on: EpsOn = "var",
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    r"""Normalize each sample over its channels and pixels.

    .. math:: y = \gamma\, (x - \mu_{chw}) / \sqrt{\sigma^2_{chw} + \epsilon} + \beta

    or, with `eps_on="std"`, divided by :math:`\sigma_{chw} + \epsilon` (MUNIT's, with `unbiased`).

    Args:
        x: features [B, C, H, W]; half precision is computed in float32.
        eps: keeps the divisor from 0.
        unbiased: divides the sum of squares by C·H·W - 1 instead of C·H·W.
        eps_on: adds eps to the variance or to the standard deviation.
        gamma: scale, as for `instance_norm`.
        beta: shift, as for `instance_norm`.

    Returns:
        [B, C, H, W] in the type of `x`.

    Raises:
        ShapeError: a sample of one number has no variance, or gamma or beta does not fit.

    Source: Ba et al., Layer Normalization, arXiv:1607.06450; over (C, H, W) as in U-GAT-IT and MUNIT.

    Example:
        >>> layer_norm(torch.tensor([[[[1.0]], [[3.0]]]]), eps=0.0).flatten()
        tensor([-1.,  1.])
    """
    count = math.prod(x.shape[1:])
    if count < 2:
        raise ShapeError(f"layer_norm: expected more than one number per sample, got {list(x.shape)}")
    if _has_one_kernel(eps_on):
        return _group_norm(x, 1, eps, unbiased, gamma, beta)
    x_, mean, variance = _moments(x)
    layer_variance, layer_mean = _layer_moments(mean, variance)
    scale = _reciprocal_std(layer_variance, count, eps, unbiased, eps_on)
    return _scaled(x, x_, scale, -layer_mean * scale, gamma, beta)


def layer_instance_norm(
    x: Tensor,
    rho: Tensor,
    eps: float = 1e-5,
    unbiased: bool = True,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    r"""Mix instance norm and layer norm, channel by channel.

    .. math:: y = \gamma\, (\rho\, \mathrm{IN}(x) + (1 - \rho)\, \mathrm{LN}(x)) + \beta

    Args:
        x: features [B, C, H, W]; half precision is computed in float32.
        rho: [C], in [0, 1]: 1 for instance norm alone, 0 for layer norm alone.
        eps: added to both variances.
        unbiased: both variances, as in U-GAT-IT's PyTorch code; its TensorFlow code has biased ones.
        gamma: scale, as for `instance_norm`.
        beta: shift, as for `instance_norm`.

    Returns:
        [B, C, H, W] in the type of `x`.

    Raises:
        ShapeError: a map of one pixel has no variance, or gamma or beta does not fit.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, equation 1.

    Example:
        >>> x = torch.randn(2, 3, 4, 5)
        >>> rho = torch.tensor([1.0, 0.5, 0.0])
        >>> mixed = layer_instance_norm(x, rho, unbiased=False)
        >>> torch.allclose(mixed[:, 0], instance_norm(x)[:, 0], atol=1e-6)
        True
        >>> torch.allclose(mixed[:, 2], layer_norm(x)[:, 2], atol=1e-6)
        True
    """
    _check_pixels(x, "layer_instance_norm")
    x_, mean, variance = _moments(x)
    layer_variance, layer_mean = _layer_moments(mean, variance)
    rho = upcast(rho).view(1, -1, 1, 1)
    instance = rho * _reciprocal_std(variance, math.prod(x.shape[2:]), eps, unbiased, "var")
    layer = (1 - rho) * _reciprocal_std(layer_variance, math.prod(x.shape[1:]), eps, unbiased, "var")
    return _scaled(x, x_, instance + layer, -mean * instance - layer_mean * layer, gamma, beta)


def _has_one_kernel(eps_on: EpsOn) -> bool:
    return eps_on == "var" and optimizations_enabled() and whole_image() is None


def _group_norm(
    x: Tensor, groups: int, eps: float, unbiased: bool, gamma: Tensor | None, beta: Tensor | None
) -> Tensor:
    """Compute instance norm (as many groups as channels) or layer norm (one group) by torch's kernel.

    Its variance is biased; with n numbers in a group, dividing the unbiased one by n / (n - 1) turns
    (var + eps) into (n - 1) / n times itself, with another eps and scale.
    """
    count = math.prod(x.shape[1:]) // groups
    batch, channels = x.shape[:2]
    gamma, beta = (
        None if value is None else _checked(name, value, x) for name, value in (("gamma", gamma), ("beta", beta))
    )
    if unbiased:
        ratio = (count - 1) / count
        eps *= ratio
        gamma = x.new_full((channels,), ratio**0.5, dtype=upcast(x).dtype) if gamma is None else gamma * ratio**0.5
    wide = x if device_type(x) == "cpu" else upcast(x)  # kernels of other devices need one type for all operands
    if any(value is not None and value.ndim == 2 for value in (gamma, beta)):
        # The kernel takes one scale and shift per channel: the samples, which have their own, become channels of one.
        wide = wide.reshape(1, batch * channels, *x.shape[2:])
        groups *= batch
        gamma, beta = (None if value is None else value.expand(batch, channels).flatten() for value in (gamma, beta))
    with without_autocast(x):
        return F.group_norm(wide, groups, gamma, beta, eps).view(x.shape).to(x.dtype)


def _scaled(x: Tensor, x_: Tensor, scale: Tensor, shift: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    """Compute `gamma * (x_ * scale + shift) + beta`; factors are multiplied first, as they are smaller than maps."""
    if gamma is not None:
        gamma = _checked("gamma", gamma, x)[..., None, None]
        scale, shift = gamma * scale, gamma * shift
    if beta is not None:
        shift = _checked("beta", beta, x)[..., None, None] + shift
    scale, shift = (value.expand(*x.shape[:2], 1, 1) for value in (scale, shift))
    return (affine(x_, scale, shift) if optimizations_enabled() else x_ * scale + shift).to(x.dtype)


def _checked(name: str, value: Tensor, x: Tensor) -> Tensor:
    # Compared with one shape only, as comparing [B, C] with [C] would fix the batch size of an exported network.
    if value.ndim not in (1, 2) or value.shape != (x.shape[1:2] if value.ndim == 1 else x.shape[:2]):
        raise ShapeError(
            f"expected {name} [{x.shape[1]}] or [{x.shape[0]}, {x.shape[1]}] for features {list(x.shape)}, "
            f"got {list(value.shape)}"
        )
    return upcast(value)


def _check_pixels(x: Tensor, function: str) -> None:
    if x.shape[2] * x.shape[3] < 2:
        raise ShapeError(f"{function}: expected maps of more than one pixel, got {list(x.shape)}; give a larger image")


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features, upcast where that matters, and mean and biased variance [B, C, 1, 1] of each map."""
    whole = whole_image()
    if whole is not None:
        statistics = whole.statistics(upcast(x))
        return upcast(x), statistics.mean, statistics.variance
    if optimizations_enabled():
        return with_moments(x if needs_no_upcast(x) else upcast(x))
    x = upcast(x)
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return x, mean, variance


def _layer_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return biased variance and mean [B, 1, 1, 1] over channels and pixels, which follow from those of the maps."""
    layer_mean = mean.mean(1, keepdim=True)
    return (variance + (mean - layer_mean).square()).mean(1, keepdim=True), layer_mean


def _reciprocal_std(variance: Tensor, count: int, eps: float, unbiased: bool, eps_on: EpsOn) -> Tensor:
    """Return one over the standard deviation, from the mean of `count` squares."""
    variance = variance * (count / (count - 1)) if unbiased else variance
    if eps_on == "var":
        return (variance + eps).rsqrt()
    # The root's slope at 0 is infinite, and times the zero gradient of a constant map that is NaN; clamped, it is 0.
    return (variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() + eps).reciprocal()
