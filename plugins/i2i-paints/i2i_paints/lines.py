"""Lines of colour images without training: extended differences of Gaussians."""

from __future__ import annotations

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor


def xdog(
    gray: Tensor, sigma: float = 0.6, ratio: float = 1.6, strength: float = 20.0, threshold: float = 0.02
) -> Tensor:
    r"""Return dark lines on white: where the difference D of two Gaussian blurs is negative, at the dark side of edges.

    Lines are 1 where :math:`D > -\epsilon`, and :math:`1 + \tanh(\varphi (D + \epsilon) / \sigma)` elsewhere.

    Args:
        gray: luminance [B, 1, H, W] in [0, 1].
        sigma: standard deviation of the smaller blur in pixels; it sets the width of lines.
        ratio: that of the larger blur, in multiples of `sigma`.
        strength: φ, how fast lines become black.
        threshold: ε, the smallest difference that is a line.

    Returns:
        lines [B, 1, H, W] in [0, 1].

    Source: Winnemöller, Kyprianidis and Olsen, XDoG, Computers & Graphics 2012, equations 5 and 6.
    """
    small, large = (_blur(gray, factor * sigma) for factor in (1.0, ratio))
    difference = small - large + threshold
    return torch.where(difference > 0, torch.ones_like(gray), 1 + torch.tanh(strength * difference / sigma))


def _blur(image: Tensor, sigma: float) -> Tensor:
    side = 2 * max(1, round(3 * sigma)) + 1
    return gaussian_blur2d(image, (side, side), (sigma, sigma))
