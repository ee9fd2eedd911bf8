"""Initialization of a network's weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Initialization = Literal["default", "normal", "xavier", "kaiming", "orthogonal", "normal_kernels"]


@torch.no_grad()
def initialize(module: nn.Module, scheme: Initialization, gain: float = 0.02, norms: bool = True) -> None:
    """Initialize every convolution, linear layer and affine norm inside a module, in place.

    Args:
        module: the network.
        scheme: `default` keeps what the constructors drew. Otherwise biases become 0, scales of affine norms
            N(1, gain), and weights of convolutions and linear layers N(0, gain) for `normal`, or follow Glorot's
            (`xavier`), He's (`kaiming`) or the `orthogonal` rule. `normal_kernels` is `normal` without the norms.
        gain: standard deviation of `normal`, factor of `xavier` and `orthogonal`; `kaiming` does not use it.
        norms: whether affine norms are initialized, too; MUNIT's code leaves them as constructed.

    Source: CycleGAN (Zhu et al., ICCV 2017, arXiv:1703.10593) uses `normal` with 0.02, U-GAT-IT's PyTorch code
    `default`, its TensorFlow code `normal_kernels` with 0.02.
    """
    if scheme == "default":
        return
    norms = norms and scheme != "normal_kernels"
    for layer in module.modules():
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if scheme in ("normal", "normal_kernels"):
                nn.init.normal_(layer.weight, 0.0, gain)
            elif scheme == "xavier":
                nn.init.xavier_normal_(layer.weight, gain)
            elif scheme == "kaiming":
                nn.init.kaiming_normal_(layer.weight)
            else:
                nn.init.orthogonal_(layer.weight, gain)
        elif norms and isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.shape == bias.shape[:1]:
            # Any affine norm, also a plugin's: a weight and a bias [C]. PReLU has a weight alone and is not meant.
            nn.init.normal_(weight, 1.0, gain)
        else:
            continue
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)
