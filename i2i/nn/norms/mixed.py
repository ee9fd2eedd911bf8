"""Learned mixes of instance norm and layer norm: ILN, and AdaLIN whose scale and shift come from outside."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from i2i.nn.functional.normalization import layer_instance_norm

Mix = Literal["clip", "softmax"]
"""What holds a channel's rho in [0, 1]: clamping after each step (U-GAT-IT), or a softmax of two logits (NICE-GAN)."""


class Mixed(nn.Module):
    """What both mixes share: the parameter behind rho, and how it is kept within [0, 1].

    Args:
        num_features: channels C.
        mix: `clip` learns rho [C] itself, `softmax` two logits [C, 2], the first for instance norm.
        rho: where every channel starts when it is clipped.
        logits: where every channel starts when it is a softmax.
    """

    def __init__(self, num_features: int, mix: Mix, rho: float, logits: tuple[float, float]) -> None:
        super().__init__()
        self.mix = mix
        start = torch.full((num_features,), float(rho)) if mix == "clip" else torch.tensor([logits] * num_features)
        self.rho = nn.Parameter(start)

    @property
    def share(self) -> Tensor:
        """How much of each channel is instance norm: [C]."""
        return self.rho if self.mix == "clip" else self.rho.softmax(1)[:, 0]

    @torch.no_grad()
    def constrain_(self) -> None:
        """Clamps a clipped rho to [0, 1]; due after each optimizer step."""
        if self.mix == "clip":
            self.rho.clamp_(0, 1)


class InstanceLayerNorm(Mixed):
    """A mix of instance norm and layer norm by a learned rho per channel, with a learned scale and shift (ILN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: where every channel's rho starts when it is clipped; 0 is layer norm, 1 is instance norm.
        unbiased: both variances; the official PyTorch code's are, its TensorFlow code's are not.
        mix: what keeps rho within [0, 1]: `clip` clamps it after each step, `softmax` learns two logits instead.
        logits: where they start; the first is instance norm's, so (1, 3.2) is nine tenths layer norm.

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
        return layer_instance_norm(x, self.share, self.eps, self.unbiased, self.gamma, self.beta)


class AdaptiveLayerInstanceNorm(Mixed):
    """A mix of instance norm and layer norm by a learned rho per channel; scale and shift come from outside (AdaLIN).

    Args:
        num_features: channels C of the features [B, C, H, W].
        rho: where every channel's rho starts when it is clipped; 0.9 is near instance norm.
        unbiased: both variances; the official PyTorch code's are, its TensorFlow code's are not.
        mix: what keeps rho within [0, 1]: `clip` clamps it after each step, `softmax` learns two logits instead.
        logits: where they start; the first is instance norm's, so (3.2, 1) is nine tenths instance norm.

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
    ) -> None:
        super().__init__(num_features, mix, rho, logits)
        self.eps, self.unbiased = eps, unbiased

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return layer_instance_norm(x, self.share, self.eps, self.unbiased, gamma, beta)
