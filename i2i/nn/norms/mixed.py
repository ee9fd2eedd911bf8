"""Learned mixes of instance norm and layer norm: ILN, and AdaLIN, whose scale and shift are inputs."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.nn.functional.normalization import layer_instance_norm

Mix = Literal["clip", "softmax"]
"""What keeps a channel's rho in [0, 1]: clamping after each step (U-GAT-IT), or a softmax of two logits (NICE-GAN)."""


class Mixed(nn.Module):
    """Base of both mixes: the parameter behind rho, and how it is kept within [0, 1].

    Args:
        num_features: channels C.
        mix: `clip` learns rho [C] itself, `softmax` two logits [C, 2], the first for instance norm.
        rho: initial rho of every channel with `clip`.
        logits: initial logits of every channel with `softmax`.
        smoothing: subtracted from a clipped rho before its use, with the result clamped to [0, 1].
    """

    def __init__(
        self, num_features: int, mix: Mix, rho: float, logits: tuple[float, float], smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.mix, self.smoothing = mix, smoothing
        initial = torch.full((num_features,), float(rho)) if mix == "clip" else torch.tensor([logits] * num_features)
        self.rho = nn.Parameter(initial)

    @property
    def instance_share(self) -> Tensor:
        """Share [C] of instance norm in each channel."""
        if self.mix == "softmax":
            return self.rho.softmax(1)[:, 0]
        return (self.rho - self.smoothing).clamp(0, 1) if self.smoothing else self.rho

    @torch.no_grad()
    def constrain_(self) -> None:
        """Clamp a clipped rho to [0, 1]; call it after each optimizer step."""
        if self.mix == "clip":
            self.rho.clamp_(0, 1)


class InstanceLayerNorm(Mixed):
    """Mix of instance norm and layer norm by a learned rho per channel, with a learned scale and shift (ILN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: initial rho of every channel with `clip`, in [0, 1]; 0 is layer norm, 1 is instance norm.
        eps: added to both variances.
        unbiased: both variances; True in the official PyTorch code, False in its TensorFlow code.
        mix: what keeps rho within [0, 1]: `clip` clamps it after each step, `softmax` learns two logits instead.
        logits: initial logits with `softmax`, of instance norm and layer norm; (1, 3.2) is nine tenths layer norm.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830; znxlwm/UGATIT-pytorch b8c4251. With `softmax`: Chen et
    al., NICE-GAN, CVPR 2020, arXiv:2003.00273; alpc91/NICE-GAN-pytorch 1b114f1.
    """

    def __init__(
        self,
        num_features: int,
        rho: float = 0.0,
        eps: float = 1e-5,
        unbiased: bool = True,
        mix: Mix = "clip",
        logits: tuple[float, float] = (1.0, 3.2),
    ) -> None:
        super().__init__(num_features, mix, rho, logits)
        self.eps, self.unbiased = eps, unbiased
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return layer_instance_norm(x, self.instance_share, self.eps, self.unbiased, self.gamma, self.beta)


class AdaptiveLayerInstanceNorm(Mixed):
    """Mix of instance norm and layer norm by a learned rho per channel, whose scale and shift are inputs (AdaLIN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: initial rho of every channel with `clip`, in [0, 1]; 0.9 is near instance norm.
        eps: added to both variances.
        unbiased: both variances; True in the official PyTorch code, False in its TensorFlow code.
        mix: what keeps rho within [0, 1]: `clip` clamps it after each step, `softmax` learns two logits instead.
        logits: initial logits with `softmax`, of instance norm and layer norm; (3.2, 1) is nine tenths instance norm.
        smoothing: with `clip`, subtracted from rho before its use, so that the share of instance norm stays at most
            1 - smoothing; below it, rho gets no gradient. 0.1 in the official TensorFlow code, where rho starts at 1.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, equation 1; znxlwm/UGATIT-pytorch b8c4251. With
    `softmax`: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273; alpc91/NICE-GAN-pytorch 1b114f1.
    """

    def __init__(
        self,
        num_features: int,
        rho: float = 0.9,
        eps: float = 1e-5,
        unbiased: bool = True,
        mix: Mix = "clip",
        logits: tuple[float, float] = (3.2, 1.0),
        smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(num_features, mix, rho, logits, smoothing)
        self.eps, self.unbiased = eps, unbiased

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return layer_instance_norm(x, self.instance_share, self.eps, self.unbiased, gamma, beta)
