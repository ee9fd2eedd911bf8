"""Instance norm, layer norm and their learned mix.

All three scale and shift each map by one number per sample and channel. The first two are torch's group norm, one
kernel forwards and one backwards; the mix needs moments of both, and is one multiply-add after them.

torch's own `F.instance_norm` is not used: on CPU its gradient is wrong (relative error 1.3, torch 2.13 and 2.15) for a
batch of one when the incoming gradient is channels_last.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError
from i2i.nn.functional.moments import affine, taken_as_it_is, with_moments
from i2i.nn.functional.optimizations import optimizations_enabled
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
    r"""Normalizes each sample's channels over their pixels.

    .. math:: y = \gamma\, (x - \mu_{hw}) / \sqrt{\sigma^2_{hw} + \epsilon} + \beta

    or, with `eps_on="std"`, divided by :math:`\sigma_{hw} + \epsilon`.

    Args:
        x: [B, C, H, W]; half precision is computed in float32.
        unbiased: divides the squares by H·W - 1 instead of H·W.
        gamma, beta: scale and shift, [C], or [B, C] when every sample has its own; 1 and 0 when None.

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
    if _in_one_kernel(eps_on):
        return _group_norm(x, x.shape[1], eps, unbiased, gamma, beta)
    wide, mean, variance = _moments(x)
    scale = _inverse(variance, _pixels(x), eps, unbiased, eps_on)
    return _scaled(x, wide, scale, -mean * scale, gamma, beta)


def layer_norm(
    x: Tensor,
    eps: float = 1e-5,
    unbiased: bool = False,
    eps_on: EpsOn = "var",
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    r"""Normalizes each sample over its channels and pixels.

    .. math:: y = \gamma\, (x - \mu_{chw}) / \sqrt{\sigma^2_{chw} + \epsilon} + \beta

    or, with `eps_on="std"`, divided by :math:`\sigma_{chw} + \epsilon` (MUNIT's, with `unbiased`).

    Args:
        x: [B, C, H, W]; half precision is computed in float32.
        unbiased: divides the squares by C·H·W - 1 instead of C·H·W.
        gamma, beta: as for `instance_norm`.

    Returns:
        [B, C, H, W] in the type of `x`.

    Raises:
        ShapeError: a sample of one number has no variance, or gamma or beta does not fit.

    Source: Ba et al., Layer Normalization, arXiv:1607.06450; over (C, H, W) as in U-GAT-IT and MUNIT.

    Example:
        >>> layer_norm(torch.tensor([[[[1.0]], [[3.0]]]]), eps=0.0).flatten()
        tensor([-1.,  1.])
    """
    if x.shape[1:].numel() < 2:
        raise ShapeError(f"layer_norm: expected more than one number per sample, got {list(x.shape)}")
    if _in_one_kernel(eps_on):
        return _group_norm(x, 1, eps, unbiased, gamma, beta)
    wide, mean, variance = _moments(x)
    of_layer, layer_mean = _layer_moments(mean, variance)
    scale = _inverse(of_layer, x.shape[1:].numel(), eps, unbiased, eps_on)
    return _scaled(x, wide, scale, -layer_mean * scale, gamma, beta)


def layer_instance_norm(
    x: Tensor,
    rho: Tensor,
    eps: float = 1e-5,
    unbiased: bool = True,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    r"""A mix of instance norm and layer norm, by channel.

    .. math:: y = \gamma\, (\rho\, \mathrm{IN}(x) + (1 - \rho)\, \mathrm{LN}(x)) + \beta

    Args:
        x: [B, C, H, W]; half precision is computed in float32.
        rho: [C], 1 for instance norm alone, 0 for layer norm alone.
        unbiased: both variances, as U-GAT-IT's PyTorch code has them; its TensorFlow code has biased ones.
        gamma, beta: as for `instance_norm`.

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
    wide, mean, variance = _moments(x)
    of_layer, layer_mean = _layer_moments(mean, variance)
    share = upcast(rho).view(1, -1, 1, 1)
    by_instance = share * _inverse(variance, _pixels(x), eps, unbiased, "var")
    by_layer = (1 - share) * _inverse(of_layer, x.shape[1:].numel(), eps, unbiased, "var")
    return _scaled(x, wide, by_instance + by_layer, -mean * by_instance - layer_mean * by_layer, gamma, beta)


def _in_one_kernel(eps_on: EpsOn) -> bool:
    return eps_on == "var" and optimizations_enabled() and whole_image() is None


def _group_norm(
    x: Tensor, groups: int, eps: float, unbiased: bool, gamma: Tensor | None, beta: Tensor | None
) -> Tensor:
    """Instance norm (as many groups as channels) or layer norm (one group) by torch's kernel.

    Its variance is biased; with n numbers in a group, dividing the unbiased one by n / (n - 1) turns
    (var + eps) into (n - 1) / n times itself, with an eps and a scale of their own.
    """
    count = x.shape[1:].numel() // groups
    samples, channels = x.shape[:2]
    gamma, beta = (
        None if value is None else _checked(name, value, x) for name, value in (("gamma", gamma), ("beta", beta))
    )
    if unbiased:
        share = (count - 1) / count
        eps *= share
        gamma = x.new_full((channels,), share**0.5, dtype=upcast(x).dtype) if gamma is None else gamma * share**0.5
    # A sample's own scale and shift: samples are then told apart as channels of one.
    apart = any(value is not None and value.ndim == 2 for value in (gamma, beta))
    wide = x if x.device.type == "cpu" else upcast(x)  # other devices' kernels want one type for all
    if apart:
        wide = wide.reshape(1, samples * channels, *x.shape[2:])
        groups *= samples
        gamma, beta = (None if value is None else value.expand(samples, channels).flatten() for value in (gamma, beta))
    with without_autocast(x):
        return F.group_norm(wide, groups, gamma, beta, eps).view(x.shape).to(x.dtype)


def _scaled(x: Tensor, wide: Tensor, scale: Tensor, shift: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    """`gamma * (wide * scale + shift) + beta`; the factors of a channel are multiplied before the map is touched."""
    if gamma is not None:
        gamma = _checked("gamma", gamma, x)[..., None, None]
        scale, shift = gamma * scale, gamma * shift
    if beta is not None:
        shift = _checked("beta", beta, x)[..., None, None] + shift
    scale, shift = (value.expand(*x.shape[:2], 1, 1) for value in (scale, shift))
    return (affine(wide, scale, shift) if optimizations_enabled() else wide * scale + shift).to(x.dtype)


def _checked(name: str, value: Tensor, x: Tensor) -> Tensor:
    if value.shape not in (x.shape[1:2], x.shape[:2]):
        raise ShapeError(
            f"expected {name} [{x.shape[1]}] or [{x.shape[0]}, {x.shape[1]}] for features {list(x.shape)}, "
            f"got {list(value.shape)}"
        )
    return upcast(value)


def _pixels(x: Tensor) -> int:
    return x.shape[2] * x.shape[3]


def _check_pixels(x: Tensor, who: str) -> None:
    if _pixels(x) < 2:
        raise ShapeError(f"{who}: expected maps of more than one pixel, got {list(x.shape)}; give a larger image")


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The features, in single precision where that matters, and mean and biased variance [B, C, 1, 1] of each map."""
    whole = whole_image()
    wide = x if whole is None and optimizations_enabled() and taken_as_it_is(x) else upcast(x)
    if whole is not None:
        found = whole.statistics(wide)
        return wide, found.mean, found.variance
    if optimizations_enabled():
        return with_moments(wide)
    variance, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    return wide, mean, variance


def _layer_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Biased variance and mean [B, 1, 1, 1] over channels and pixels, which follow from those of the maps."""
    of_layer = mean.mean(1, keepdim=True)
    return (variance + (mean - of_layer).square()).mean(1, keepdim=True), of_layer


def _inverse(variance: Tensor, count: int, eps: float, unbiased: bool, eps_on: EpsOn) -> Tensor:
    """One over the standard deviation, from the mean of `count` squares."""
    variance = variance * (count / (count - 1)) if unbiased else variance
    if eps_on == "var":
        return (variance + eps).rsqrt()
    # The root's slope at 0 is infinite, and times the zero gradient of a constant map that is NaN; clamped, it is 0.
    return (variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() + eps).reciprocal()
