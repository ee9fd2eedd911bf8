"""Norm, scale and shift, activation, residual sum and reflection padding of feature maps as one operation.

On a GPU a step of small batches is limited by the number of operations and by the bytes that they move, not by
arithmetic. Here a whole chain between two convolutions is one operation forward and one backward, each of which
`torch.compile` makes into a few kernels; where the compiler is not available the same functions run uncompiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from i2i.nn.functional.optimizations import device_type, optimizations_enabled
from i2i.nn.functional.precision import upcast, without_autocast
from i2i.nn.functional.whole_image import whole_image
from i2i.nn.private_torch import compile_shapes, compiler_errors, reflection_pad_backward

Statistics = Literal["none", "instance", "layer", "mix"]
"""What the features are normalized by: nothing, their maps, their samples, or a mix of both by a share rho."""
PIXELS = (2, 3)

# A context variable, as another thread may translate, without compiling anything, while this one trains.
_fusing: ContextVar[bool] = ContextVar("fusing", default=False)


@contextmanager
def fuse_operations(enabled: bool = True) -> Iterator[None]:
    """Fuse operations inside the context where the device is a GPU; `train.fuse` of a recipe.

    Args:
        enabled: False changes nothing, so that an option can be passed on.
    """
    token = _fusing.set(_fusing.get() or enabled)
    try:
        yield
    finally:
        _fusing.reset(token)


def fuses(x: Tensor) -> bool:
    """Return whether operations on `x` are fused: in training on a GPU, unless a compiler sees the whole network."""
    return (
        _fusing.get()
        and optimizations_enabled()
        and device_type(x) == "cuda"
        and x.ndim == 4
        and whole_image() is None
        and not torch.compiler.is_compiling()
    )


def modulate(
    x: Tensor,
    statistics: Statistics = "none",
    rho: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    eps: float = 1e-5,
    unbiased: bool = False,
    slope: float = 1.0,
    residual: Tensor | None = None,
    padding: int = 0,
) -> Tensor:
    r"""Normalize, scale and shift, activate, add and pad feature maps in one operation.

    .. math:: y = \mathrm{pad}(\mathrm{act}(\gamma\, \hat x + \beta) + r)

    where :math:`\hat x` is `x`, `instance_norm(x)`, `layer_norm(x)` or `layer_instance_norm(x, rho)` of
    `i2i.nn.functional.normalization`.

    Args:
        x: features [B, C, H, W]; half precision is computed in float32.
        statistics: what the features are normalized by.
        rho: share [C] of instance norm with `mix`.
        gamma: scale [C], [B, C] or [B, 1]; 1 when None, which `none` does not take.
        beta: shift of the same shapes; 0 when None.
        eps: added to variances.
        unbiased: whether variances are unbiased.
        slope: of negative values after the activation: 1 for none, 0 for ReLU.
        residual: r [B, C, H, W], added after the activation; None for none.
        padding: reflected pixels on each side of the result; 0 with a residual.

    Returns:
        [B, C, H + 2 padding, W + 2 padding] in the type of `x`.

    Example:
        >>> x = torch.randn(2, 3, 4, 5)
        >>> y = modulate(x, "instance", slope=0.0, padding=1)
        >>> expected = F.pad(F.instance_norm(x).relu(), (1, 1, 1, 1), mode="reflect")
        >>> torch.allclose(y, expected, atol=1e-5)
        True
    """
    assert not (padding and residual is not None)
    assert gamma is not None or statistics != "none"
    options = (statistics, float(eps), bool(unbiased), float(slope), int(padding))
    result: Tensor = _Modulate.apply(x, rho, gamma, beta, residual, options)
    return result


class _Modulate(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rho: Tensor | None,
        gamma: Tensor | None,
        beta: Tensor | None,
        residual: Tensor | None,
        options: tuple[Any, ...],
    ) -> Tensor:
        y: Tensor
        y, mean, variance = torch.ops.i2i.modulate(x, rho, gamma, beta, residual, *options)
        ctx.save_for_backward(x, mean, variance, rho, gamma, beta)
        ctx.options, ctx.has_residual = options, residual is not None
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, mean, variance, rho, gamma, beta = ctx.saved_tensors
        added = gradient if ctx.has_residual else None
        if torch.is_grad_enabled():  # a gradient penalty differentiates this gradient again
            return (*_differentiable_gradients((x, rho, gamma, beta), gradient, ctx.options), added, None)
        found = torch.ops.i2i.modulate_backward(gradient, x, mean, variance, rho, gamma, beta, *ctx.options)
        pairs = zip((x, rho, gamma, beta), found, strict=True)
        return (*(None if value is None else grad for value, grad in pairs), added, None)


def _differentiable_gradients(
    inputs: tuple[Tensor | None, ...], gradient: Tensor, options: tuple[Any, ...]
) -> list[Tensor | None]:
    # Views keep partial derivatives apart: gamma may itself depend on x, as in AdaLIN.
    views = [None if value is None else value.view_as(value) for value in inputs]
    x, rho, gamma, beta = views
    assert x is not None
    y = _modulate(x, rho, gamma, beta, None, *options)[0]
    wanted = [view for view in views if view is not None and view.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True))
    return [next(found) if view is not None and view.requires_grad else None for view in views]


def _modulate(
    x: Tensor,
    rho: Tensor | None,
    gamma: Tensor | None,
    beta: Tensor | None,
    residual: Tensor | None,
    statistics: str,
    eps: float,
    unbiased: bool,
    slope: float,
    padding: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the result, and mean and biased variance [B, C] of each map."""
    wide = upcast(x)
    if statistics == "none":
        mean = variance = wide.new_empty(0)
        scale, shift = gamma, beta
    else:
        variance, mean = torch.var_mean(wide, PIXELS, correction=0)
        instance, layer, layer_mean, share = _rates(x, mean, variance, rho, statistics, eps, unbiased)
        own, whole = share * instance, (1 - share) * layer
        scale, shift = own + whole, -(own * mean + whole * layer_mean)
        if gamma is not None:
            scale, shift = gamma * scale, gamma * shift
        shift = shift if beta is None else shift + beta
    y = _activated(_affine(wide, scale, shift), slope)
    y = y if residual is None else y + residual
    y = F.pad(y, (padding,) * 4, mode="reflect") if padding else y
    return y.to(x.dtype), mean, variance


def _modulate_backward(
    gradient: Tensor,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    rho: Tensor | None,
    gamma: Tensor | None,
    beta: Tensor | None,
    statistics: str,
    eps: float,
    unbiased: bool,
    slope: float,
    padding: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the gradients of x, rho, gamma and beta; empty ones for those that are None."""
    wide, grad = upcast(x), upcast(gradient)
    if padding:
        grad = reflection_pad_backward(grad, wide, padding)
    none = wide.new_empty(0)
    if statistics == "none":
        if slope != 1:
            grad = torch.where(_affine(wide, gamma, beta) > 0, grad, slope * grad)
        assert gamma is not None
        d_x, d_gamma = grad * _per_map(gamma), _reduced((grad * wide).sum(PIXELS), gamma)
        return d_x.to(x.dtype), none, d_gamma, none if beta is None else _reduced(grad.sum(PIXELS), beta)
    instance, layer, layer_mean, share = _rates(x, mean, variance, rho, statistics, eps, unbiased)
    own, whole = share * instance, (1 - share) * layer
    scale = own + whole if gamma is None else gamma * (own + whole)
    centred = wide - mean[..., None, None]
    if slope != 1:
        shift = whole * (mean - layer_mean) if gamma is None else gamma * (whole * (mean - layer_mean))
        shift = shift if beta is None else shift + beta
        grad = torch.where(_affine(centred, scale, shift) > 0, grad, slope * grad)
    # Sums over pixels of the gradient, and of the gradient times the centred features, give all small gradients.
    total, moment = grad.sum(PIXELS), (grad * centred).sum(PIXELS)
    from_layer = moment + (mean - layer_mean) * total
    d_gamma = own * moment + whole * from_layer
    d_own = moment if gamma is None else gamma * moment
    d_whole = from_layer if gamma is None else gamma * from_layer
    d_total = total if gamma is None else gamma * total
    pixels, channels = x.shape[2] * x.shape[3], x.shape[1]
    ratio = _correction(pixels, unbiased), _correction(pixels * channels, unbiased)
    d_variance = share * d_own * (-0.5 * ratio[0]) * instance**3
    d_mean = -own * d_total
    if statistics != "instance":
        d_layer = ((1 - share) * d_whole).sum(1, keepdim=True) * (-0.5 * ratio[1]) * layer**3 / channels
        d_variance = d_variance + d_layer
        d_mean = d_mean + 2 * d_layer * (mean - layer_mean) - (whole * d_total).sum(1, keepdim=True) / channels
    d_x = (
        grad * scale[..., None, None]
        + centred * (d_variance * (2 / pixels))[..., None, None]
        + (d_mean / pixels)[..., None, None]
    )
    return (
        d_x.to(x.dtype),
        none if rho is None else (instance * d_own - layer * d_whole).sum(0),
        _reduced(d_gamma, gamma),
        none if beta is None else _reduced(total, beta),
    )


def _rates(
    x: Tensor, mean: Tensor, variance: Tensor, rho: Tensor | None, statistics: str, eps: float, unbiased: bool
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """Return one over the standard deviation of maps [B, C] and samples [B, 1], the samples' mean, and the share."""
    pixels = x.shape[2] * x.shape[3]
    instance = (variance * _correction(pixels, unbiased) + eps).rsqrt()
    if statistics == "instance":
        return instance, torch.zeros_like(instance[:, :1]), torch.zeros_like(mean[:, :1]), 1.0
    layer_mean = mean.mean(1, keepdim=True)
    layer_variance = (variance + (mean - layer_mean).square()).mean(1, keepdim=True)
    layer = (layer_variance * _correction(pixels * x.shape[1], unbiased) + eps).rsqrt()
    return instance, layer, layer_mean, 0.0 if rho is None else upcast(rho)


def _correction(count: int, unbiased: bool) -> float:
    return count / (count - 1) if unbiased else 1.0


def _per_map(value: Tensor) -> Tensor:
    """View [C], [B, C] or [B, 1] so that it broadcasts over maps."""
    return upcast(value)[..., None, None]


def _affine(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    y = x if scale is None else x * _per_map(scale)
    return y if shift is None else y + _per_map(shift)


def _activated(y: Tensor, slope: float) -> Tensor:
    return y if slope == 1 else torch.where(y > 0, y, slope * y)


def _reduced(gradient: Tensor, like: Tensor | None) -> Tensor:
    """Sum a gradient [B, C] to the shape of what was broadcast to it."""
    return gradient if like is None else gradient.sum_to_size(like.shape).to(like.dtype)


# Registered with torch, so that counters, fake tensors and autograd see one operation each way.


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return compile_shapes(function)


_without_compiler: set[str] = set()


def _fused(function: Callable[..., Any], x: Tensor, *arguments: Any) -> Any:
    with without_autocast(x):
        if x.device.type != "cuda" or _without_compiler:
            return function(x, *arguments)
        try:
            return _compiled(function)(x, *arguments)
        except compiler_errors() as error:
            reason = str(error).partition("\n")[0]
            _without_compiler.add(reason)
            warnings.warn(f"operations are not fused, since torch cannot compile them here: {reason}", stacklevel=2)
            return function(x, *arguments)


OPTIONS = "str statistics, float eps, bool unbiased, float slope, int padding"


@torch.library.custom_op(
    "i2i::modulate",
    mutates_args=(),
    schema=f"(Tensor x, Tensor? rho, Tensor? gamma, Tensor? beta, Tensor? residual, {OPTIONS}) "
    "-> (Tensor, Tensor, Tensor)",
)
def _operation(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, variance = _fused(_modulate, x, *arguments)
    return y, mean, variance if variance is not mean else variance.clone()


@_operation.register_fake
def _(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    statistics, padding = arguments[4], arguments[8]
    batch, channels, height, width = x.shape
    moments = (0,) if statistics == "none" else (batch, channels)
    small = [x.new_empty(moments, dtype=upcast(x).dtype) for _ in range(2)]
    return x.new_empty(batch, channels, height + 2 * padding, width + 2 * padding), small[0], small[1]


@torch.library.custom_op(
    "i2i::modulate_backward",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor mean, Tensor variance, Tensor? rho, Tensor? gamma, Tensor? beta, "
    f"{OPTIONS}) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _operation_backward(gradient: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    d_x, *small = _fused(_modulate_backward, gradient, *arguments)
    empty = d_x.new_empty
    return d_x, *(value if value.numel() else empty(0) for value in small)


@_operation_backward.register_fake
def _(gradient: Tensor, x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    small = [x.new_empty(0) if value is None else torch.empty_like(value) for value in arguments[2:5]]
    return torch.empty_like(x), small[0], small[1], small[2]
