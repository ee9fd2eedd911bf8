"""Layers of CIPS-3D: sines with scale and shift from a style, modulated linear layers, the mapping network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive

SLOPE = 0.2
DEMODULATION_EPS = 1e-8
PIXEL_NORM_EPS = 1e-8


def initialize_frequency(layer: nn.Linear, frequency: float) -> None:
    """Draw weights uniformly from +-sqrt(6 / in) / frequency."""
    bound = math.sqrt(6 / layer.in_features) / frequency
    nn.init.uniform_(layer.weight, -bound, bound)


def initialize_leaky(weight: Tensor) -> None:
    """Draw weights by He's rule for a leaky ReLU of slope 0.2."""
    nn.init.kaiming_normal_(weight, a=SLOPE, mode="fan_in", nonlinearity="leaky_relu")


class FiLMSine(nn.Module):
    r"""Linear layer, scale and shift that follow from a style, sine: :math:`\sin((15 g + 30)(W x + b) + \beta)`.

    Args:
        in_features: length of the inputs.
        out_features: length of the outputs.
        style_features: length of the style.

    Source: Chan et al., pi-GAN, CVPR 2021, arXiv:2012.00926; PeterouZh/CIPS-3D 5956813, `FiLMLayer`.
    """

    def __init__(self, in_features: Positive, out_features: Positive, style_features: Positive) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.gain_fc = nn.Linear(style_features, out_features)
        self.bias_fc = nn.Linear(style_features, out_features)
        initialize_frequency(self.linear, 25)
        with torch.no_grad():
            self.gain_fc.weight.mul_(0.25)
            self.bias_fc.weight.mul_(0.25)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return [B, P, out_features] for points [B, P, in_features] and styles [B, style_features]."""
        gain = 15 * self.gain_fc(style)[:, None] + 30
        return torch.sin(gain * self.linear(x) + self.bias_fc(style)[:, None])


class ModulatedLinear(nn.Module):
    r"""Linear layer whose inputs are scaled by a style, and whose weights are then normalized; without bias.

    .. math:: w'_{io} = w_{io} (s_i + 1), \quad w''_{io} = w'_{io} / \sqrt{\textstyle\sum_i w'^2_{io} + 10^{-8}}

    Args:
        in_features: length of the inputs.
        out_features: length of the outputs.
        style_features: length of the style.

    Source: Anokhin et al., CIPS, arXiv:2011.13775; PeterouZh/CIPS-3D 5956813, `SinStyleMod`.
    """

    def __init__(self, in_features: Positive, out_features: Positive, style_features: Positive) -> None:
        super().__init__()
        self.modulation = nn.Linear(style_features, in_features)
        self.weight = nn.Parameter(torch.empty(1, in_features, out_features))
        initialize_leaky(self.modulation.weight)
        initialize_leaky(self.weight[0].T)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return [B, P, out_features] for points [B, P, in_features] and styles [B, style_features]."""
        return modulated(x, self.weight, self.modulation(style) + 1)


class EqualizedModulatedLinear(nn.Module):
    """As `ModulatedLinear`, with equalized learning rates: weights start at N(0, 1) and are scaled when they are used.

    Args:
        in_features: length of the inputs.
        out_features: length of the outputs.
        style_features: length of the style.

    Source: PeterouZh/CIPS-3D 5956813, `Modulated_FC_Conv`, the layer of its older generators.
    """

    def __init__(self, in_features: Positive, out_features: Positive, style_features: Positive) -> None:
        super().__init__()
        self.modulation = nn.Linear(style_features, in_features)
        self.weight = nn.Parameter(torch.randn(1, in_features, out_features))
        nn.init.normal_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return [B, P, out_features] for points [B, P, in_features] and styles [B, style_features]."""
        scale = F.linear(style, self.modulation.weight / math.sqrt(style.shape[1]), self.modulation.bias)
        return modulated(x, self.weight / math.sqrt(x.shape[-1]), scale + 1)


def modulated(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Multiply points [B, P, I] by weights [1, I, O] that are scaled by [B, I] and normalized over the inputs."""
    scaled = weight * scale[:, :, None]
    return x @ (scaled * (scaled.square().sum(1, keepdim=True) + DEMODULATION_EPS).rsqrt())


class HeadMapping(nn.Module):
    """Mapping network from a latent code to a style: pixel norm, linear layers with leaky ReLU, optional layer norms.

    Args:
        z_dim: length of the code.
        hidden: width of all layers, and length of the style.
        layers: number of linear layers.
        add_norm: whether a layer norm follows every linear layer but the last.
        norm_out: whether one follows the last, too.

    Source: PeterouZh/CIPS-3D 5956813, `MultiHeadMappingNetwork` with heads that are identities.
    """

    def __init__(
        self, z_dim: Positive, hidden: Positive, layers: Positive, add_norm: bool = False, norm_out: bool = False
    ) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for index in range(layers):
            linear = nn.Linear(hidden if index else z_dim, hidden)
            initialize_leaky(linear.weight)
            modules.append(linear)
            last = index == layers - 1
            if norm_out if last else add_norm:
                modules.append(nn.LayerNorm(hidden))
            if not last:
                modules.append(nn.LeakyReLU(SLOPE))
        self.base_net = nn.Sequential(*modules)

    def forward(self, z: Tensor) -> Tensor:
        """Return styles [B, hidden] for codes [B, z_dim]."""
        style: Tensor = self.base_net(z * (z.square().mean(1, keepdim=True) + PIXEL_NORM_EPS).rsqrt())
        return style
