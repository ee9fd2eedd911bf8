"""What follows a convolution, as one operation where it can be: norm, activation, residual sum, padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from i2i.nn.functional.fused import fuses, modulate
from i2i.nn.functional.padding import pad
from i2i.nn.norms.instance import AdaptiveInstanceNorm, InstanceNorm
from i2i.nn.norms.layer import LayerNorm
from i2i.nn.norms.mixed import AdaptiveLayerInstanceNorm, InstanceLayerNorm, Mixed
from i2i.nn.private_torch import has_hooks


def finish(
    x: Tensor,
    norm: Callable[..., Tensor] | None,
    activation: Callable[[Tensor], Tensor] | None,
    *condition: Tensor,
    residual: Tensor | None = None,
    padding: int = 0,
) -> Tensor:
    """Normalize and activate features, add a residual, and pad for the next convolution.

    In training on a GPU this is one operation, `i2i.nn.functional.fused.modulate`, if it can express the modules and
    nothing is hooked to them. Otherwise the modules are called one after another.

    Args:
        x: features [B, C, H, W].
        norm: module, or None.
        activation: module, or None.
        condition: further inputs of the norm: scale and shift [B, C].
        residual: [B, C, H, W], added last.
        padding: reflected pixels on each side of the result; 0 with a residual.
    """
    if norm is not None and fuses(x):
        slope, options = slope_of(activation), _options(norm, *condition)
        if slope is not None and options is not None:
            return modulate(x, **options, slope=slope, residual=residual, padding=padding)
    x = x if norm is None else norm(x, *condition)
    x = x if activation is None else activation(x)
    x = x if residual is None else residual + x
    return pad(x, (padding,) * 4) if padding else x


def slope_of(activation: object | None) -> float | None:
    """Return an activation's slope for negative values, 1 for no activation; None if it is anything else."""
    if activation is None:
        return 1.0
    if not isinstance(activation, nn.Module) or has_hooks(activation):
        return None
    if type(activation) is nn.ReLU:
        return 0.0
    return float(activation.negative_slope) if type(activation) is nn.LeakyReLU else None


def _options(norm: object, *condition: Tensor) -> dict[str, Any] | None:
    """Return the arguments of `modulate` for a norm, or None if it is none of ours, which a subclass may change."""
    if not isinstance(norm, nn.Module) or has_hooks(norm):
        return None
    kind = type(norm)
    gamma: Tensor | None
    beta: Tensor | None
    if isinstance(norm, InstanceNorm | LayerNorm) and kind in (InstanceNorm, LayerNorm) and norm.eps_on == "var":
        statistics = "instance" if kind is InstanceNorm else "layer"
        gamma, beta = norm.weight, norm.bias
    elif isinstance(norm, AdaptiveInstanceNorm) and kind is AdaptiveInstanceNorm:
        statistics, (gamma, beta) = "instance", condition
    elif isinstance(norm, InstanceLayerNorm) and kind is InstanceLayerNorm:
        statistics, gamma, beta = "mix", norm.gamma, norm.beta
    elif isinstance(norm, AdaptiveLayerInstanceNorm) and kind is AdaptiveLayerInstanceNorm:
        statistics, (gamma, beta) = "mix", condition
    else:
        return None
    rho = norm.instance_share if isinstance(norm, Mixed) else None
    options = {"statistics": statistics, "rho": rho, "eps": norm.eps, "unbiased": norm.unbiased}
    return {**options, "gamma": gamma, "beta": beta}
