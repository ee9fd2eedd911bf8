"""Layers of StyleGAN2: modulated convolutions, layers of the synthesis network, resampling convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.layers.stylegan2 import EqualizedLinear
from i2i_stylegan.resampling import make_filter, resampled_conv

NoiseMode = Literal["random", "const", "none"]
Demodulation = Literal["weight", "scaled_weight"]
FILTER = (1.0, 3.0, 3.0, 1.0)
DEMODULATION_EPS = 1e-8
"""Added to the sum of squares of a demodulated weight."""
SLOPE = 0.2


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None = None,
    kernel: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int = 0,
    demodulate: bool = True,
    eps: float = DEMODULATION_EPS,
) -> Tensor:
    r"""Convolve each sample with a weight whose input channels are scaled by its style.

    .. math:: w'_{oik} = s_i w_{oik} \Big/ \sqrt{\textstyle\sum_{ik} (s_i w_{oik})^2 + \epsilon}

    The features are scaled before and after one shared convolution, which is the same and keeps the batch in one
    operation. Half-precision weights and styles are divided by their maxima first, which demodulation undoes.

    Args:
        x: features [B, C, H, W].
        weight: [C', C, k, k].
        styles: [B, C].
        noise: added after demodulation, broadcastable to the result.
        kernel: filter of the resampling.
        up: 2 doubles the sides.
        down: 2 halves the sides.
        padding: zeros on each side of the convolution.
        demodulate: divide by the norm of the modulated weight.
        eps: inside the square root.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, equations 1 to 3.
    """
    if x.dtype == torch.float16 and demodulate:
        fan_in = weight[0].numel()
        weight = weight / (math.sqrt(fan_in) * weight.abs().amax((1, 2, 3), keepdim=True))
        styles = styles / styles.abs().amax(1, keepdim=True)
    scale = None
    if demodulate:
        scale = (styles.square() @ weight.square().sum((2, 3)).t() + eps).rsqrt().to(x.dtype)[:, :, None, None]
    x = x * styles.to(x.dtype)[:, :, None, None]
    x = resampled_conv(x, weight.to(x.dtype), kernel, up, down, padding)
    x = x if scale is None else x * scale
    return x if noise is None else x + noise.to(x.dtype)


def activate(x: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """Apply the leaky ReLU times the square root of 2, times a gain, and clamp at `clamp` times the gain."""
    return scale_and_clamp(F.leaky_relu(x, SLOPE) * math.sqrt(2), gain, clamp)


def scale_and_clamp(x: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """Multiply by a gain, and clamp at plus and minus `clamp` times the gain."""
    x = x if gain == 1 else x * gain
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def dense(in_features: int, out_features: int, rate: float = 1.0, bias: float = 0.0) -> EqualizedLinear:
    """Return a linear layer with equalized learning rate whose bias starts at a value."""
    layer = EqualizedLinear(in_features, out_features, rate=rate)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, bias)
    return layer


class ResampledConv2d(nn.Module):
    r"""Convolution with equalized learning rate :math:`1 / \sqrt{C k^2}`, a bias and the activation.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result.
        kernel_size: k, side of the kernel in pixels; odd.
        bias: whether a bias is added.
        active: whether the activation follows.
        up: 2 doubles the sides.
        down: 2 halves the sides.
        clamp: largest absolute value of the result, times the gain; None for any.
        taps: of the resampling filter along one axis.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        active: bool = True,
        up: int = 1,
        down: int = 1,
        clamp: float | None = None,
        taps: Sequence[float] = FILTER,
    ) -> None:
        super().__init__()
        self.active, self.up, self.down, self.clamp = active, up, down, clamp
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.register_buffer("resample_filter", make_filter(taps), persistent=False)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        weight = (self.weight * self.scale).to(x.dtype)
        x = resampled_conv(x, weight, self.resample_filter, self.up, self.down, self.weight.shape[-1] // 2)
        if self.bias is not None:
            x = x + self.bias.to(x.dtype)[:, None, None]
        return activate(x, gain, self.clamp) if self.active else scale_and_clamp(x, gain, self.clamp)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias and activation.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result.
        w_dim: numbers in a style vector w.
        resolution: side of the result in pixels.
        up: 2 doubles the sides.
        use_noise: whether there is noise.
        clamp: largest absolute value of the result, times the gain; None for any.
        taps: of the resampling filter along one axis.
        demodulation: where the factor of the equalized learning rate enters: `weight` as in StyleGAN2-ADA, where it
            cancels, or `scaled_weight` as in the port of rosinality, where the added 1e-8 weighs more.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, figure 2.
    """

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        up: int = 1,
        use_noise: bool = True,
        clamp: float | None = None,
        taps: Sequence[float] = FILTER,
        demodulation: Demodulation = "weight",
    ) -> None:
        super().__init__()
        self.resolution, self.up, self.use_noise, self.clamp = resolution, up, use_noise, clamp
        self.affine = dense(w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        # The scaled weight has 1 / fan-in of the squares, which is the same as fan-in times the added constant.
        self.eps = DEMODULATION_EPS * (in_channels * 9 if demodulation == "scaled_weight" else 1)
        if use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", make_filter(taps), persistent=False)

    def draw_noise(self, x: Tensor) -> Tensor:
        """Draw a noise map [B, 1, S, S] for features [B, C, H, W]."""
        return torch.randn(x.shape[0], 1, self.resolution, self.resolution, device=x.device, dtype=self.bias.dtype)

    def forward(self, x: Tensor, w: Tensor, noise: NoiseMode | Tensor = "random", gain: float = 1.0) -> Tensor:
        """Return features [B, C', S, S].

        Args:
            x: features [B, C, H, W].
            w: [B, w_dim].
            noise: random maps, the stored map, no noise, or a map [B or 1, 1, S, S].
            gain: factor of the result.
        """
        added = None
        if self.use_noise and not (isinstance(noise, str) and noise == "none"):
            stored = self.noise_const if noise == "const" else None
            plane = noise if isinstance(noise, Tensor) else self.draw_noise(x) if stored is None else stored
            added = plane * self.noise_strength
        x = modulated_conv(
            x, self.weight, self.affine(w), added, self.resample_filter, self.up, padding=1, eps=self.eps
        )
        return activate(x + self.bias.to(x.dtype)[:, None, None], gain, self.clamp)


class ToRGB(nn.Module):
    r"""Modulated 1x1 convolution to the channels of an image, without demodulation; styles times :math:`1 / \sqrt C`.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels of the image.
        w_dim: numbers in a style vector w.
        clamp: largest absolute value of the result; None for any.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp, self.scale = clamp, 1 / math.sqrt(in_channels)
        self.affine = dense(w_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.scale
        x = modulated_conv(x, self.weight, styles, demodulate=False)
        return scale_and_clamp(x + self.bias.to(x.dtype)[:, None, None], 1.0, self.clamp)
