"""Structural similarity of two images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.precision import upcast

_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2


def structural_similarity(image: Tensor, target: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    r"""SSIM of each Gaussian window that lies wholly inside, 1 where the two are equal.

    .. math::
        \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}{(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

    with c1 = 0.01² and c2 = 0.03², of images taken to [0, 1].

    Args:
        image, target: [B, C, H, W] in [-1, 1], sides of at least `window`.
        window: side of the windows in pixels.
        sigma: standard deviation of their weights in pixels.

    Returns:
        similarity: [B, C, H - window + 1, W - window + 1] in [-1, 1].

    Source: Wang et al., IEEE TIP 13(4), 2004, equation 13.

    Example:
        >>> import torch
        >>> x = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
        >>> float(structural_similarity(x, x).mean())
        1.0
    """
    x, y = (upcast(image) + 1) / 2, (upcast(target) + 1) / 2
    place = torch.arange(window, dtype=x.dtype, device=x.device) - (window - 1) / 2
    bell = torch.exp(-place.square() / (2 * sigma**2))
    bell = bell / bell.sum()

    def mean(values: Tensor) -> Tensor:
        rows = F.conv2d(values.flatten(0, 1).unsqueeze(1), bell.view(1, 1, -1, 1))
        return F.conv2d(rows, bell.view(1, 1, 1, -1)).view(
            *values.shape[:2], *(s - window + 1 for s in values.shape[2:])
        )

    mean_x, mean_y = mean(x), mean(y)
    spread = mean(x * x) - mean_x * mean_x + mean(y * y) - mean_y * mean_y
    common = mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _LUMINANCE) / (mean_x * mean_x + mean_y * mean_y + _LUMINANCE)
    return luminance * (2 * common + _CONTRAST) / (spread + _CONTRAST)
