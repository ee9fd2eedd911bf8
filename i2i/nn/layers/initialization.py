"""How the weights of a network start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Initialization = Literal["default", "normal", "xavier", "kaiming", "orthogonal"]


@torch.no_grad()
def initialize(module: nn.Module, how: Initialization, gain: float = 0.02, norms: bool = True) -> None:
    """Draws the weights of every convolution, linear layer and affine norm inside a module anew, in place.

    Args:
        how: `default` leaves what the layers' constructors drew. Otherwise biases start at 0, the scales of affine
            norms at N(1, gain), and the weights of convolutions and linear layers at N(0, gain) for `normal`, or by
            Glorot's, He's or the orthogonal rule.
        gain: standard deviation of `normal`, factor of `xavier` and `orthogonal`; `kaiming` does not use it.
        norms: whether affine norms are drawn anew too; MUNIT's code leaves them as their constructors do.

    Source: CycleGAN (Zhu et al., ICCV 2017, arXiv:1703.10593) has `normal` with 0.02, U-GAT-IT's PyTorch code
    `default`.
    """
    if how == "default":
        return
    for layer in module.modules():
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            _draw_(layer.weight, how, gain)
        elif norms and isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.shape == bias.shape[:1]:
            nn.init.normal_(weight, 1.0, gain)  # any norm's scale and shift, also a plugin's; PReLU has no bias
        else:
            continue
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)


def _draw_(weight: Tensor, how: Initialization, gain: float) -> None:
    if how == "normal":
        nn.init.normal_(weight, 0.0, gain)
    elif how == "xavier":
        nn.init.xavier_normal_(weight, gain)
    elif how == "kaiming":
        nn.init.kaiming_normal_(weight)
    else:
        nn.init.orthogonal_(weight, gain)
