"""Instance norm, layer norm and their learned mix, from one formula.

All three scale and shift the features centred per instance and channel, `d = x - mean_hw(x)`, by one number per sample
and channel, so that they cost one reduction of the map and one pass over it.

torch's own `F.instance_norm` is not used: on CPU its gradient is wrong (relative error 1.3, torch 2.13 and 2.15) for a
batch of one when the incoming gradient is channels_last. `torch.var` is not used because its CPU kernel is seven times
slower than the two means below.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from i2i.errors import ShapeError
from i2i.functional.precision import widen

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
    centred, _, squares = _moments(x, "instance_norm")
    return _scaled(x, centred, _inverse(squares, _pixels(x), eps, unbiased, eps_on), None, gamma, beta)


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
    wide = widen(x)
    centred = wide - wide.mean((1, 2, 3), keepdim=True)
    squares = centred.square().mean((1, 2, 3), keepdim=True)
    return _scaled(x, centred, _inverse(squares, x.shape[1:].numel(), eps, unbiased, eps_on), None, gamma, beta)


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
    centred, means, squares = _moments(x, "layer_instance_norm")
    # The layer's statistics follow from the instances': var_chw = mean_c(var_hw + (mean_hw - mean_chw)^2), biased ones.
    offset = means - means.mean(1, keepdim=True)
    layer_squares = (squares + offset.square()).mean(1, keepdim=True)
    by_instance = _inverse(squares, _pixels(x), eps, unbiased, "var")
    by_layer = _inverse(layer_squares, x.shape[1:].numel(), eps, unbiased, "var")
    share = widen(rho).view(1, -1, 1, 1)
    scale = share * by_instance + (1 - share) * by_layer
    return _scaled(x, centred, scale, (1 - share) * by_layer * offset, gamma, beta)


def _scaled(
    x: Tensor, centred: Tensor, scale: Tensor, shift: Tensor | None, gamma: Tensor | None, beta: Tensor | None
) -> Tensor:
    """`gamma * (centred * scale + shift) + beta`; the factors of a channel are multiplied before the map is touched."""
    if gamma is not None:
        gamma = _per_channel("gamma", gamma, x)
        scale, shift = gamma * scale, None if shift is None else gamma * shift
    if beta is not None:
        beta = _per_channel("beta", beta, x)
        shift = beta if shift is None else beta + shift
    return (centred * scale if shift is None else torch.addcmul(shift, centred, scale)).to(x.dtype)


def _per_channel(name: str, value: Tensor, x: Tensor) -> Tensor:
    if value.shape not in (x.shape[1:2], x.shape[:2]):
        raise ShapeError(
            f"expected {name} [{x.shape[1]}] or [{x.shape[0]}, {x.shape[1]}] for features {list(x.shape)}, "
            f"got {list(value.shape)}"
        )
    return widen(value)[..., None, None]


def _pixels(x: Tensor) -> int:
    return x.shape[2] * x.shape[3]


def _moments(x: Tensor, who: str) -> tuple[Tensor, Tensor, Tensor]:
    """Centred features, and mean and biased variance [B, C, 1, 1] of each map."""
    if _pixels(x) < 2:
        raise ShapeError(f"{who}: expected maps of more than one pixel, got {list(x.shape)}; give a larger image")
    wide = widen(x)
    means = wide.mean((2, 3), keepdim=True)
    centred = wide - means
    return centred, means, centred.square().mean((2, 3), keepdim=True)


def _inverse(squares: Tensor, count: int, eps: float, unbiased: bool, eps_on: EpsOn) -> Tensor:
    """One over the standard deviation, from the mean of `count` squares."""
    variance = squares * (count / (count - 1)) if unbiased else squares
    if eps_on == "var":
        return (variance + eps).rsqrt()
    # The root's slope at 0 is infinite, and times the zero gradient of a constant map that is NaN; clamped, it is 0.
    return (variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() + eps).reciprocal()
