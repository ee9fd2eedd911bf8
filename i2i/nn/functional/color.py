"""Keeping an image's colours while its style changes."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.nn.functional.precision import upcast

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luminance, ITU-R BT.601."""


def luminance(image: Tensor) -> Tensor:
    """Y [B, 1, H, W] of RGB images [B, 3, H, W], in the same range."""
    return (upcast(image) * torch.tensor(LUMA, device=image.device).view(3, 1, 1)).sum(1, keepdim=True)


def with_colors_of(image: Tensor, content: Tensor) -> Tensor:
    """An image's luminance with a content's colours, both [B, 3, H, W].

    In YUV the colours U and V are multiples of B - Y and R - Y, so to exchange Y alone is to add one number to red,
    green and blue.

    Source: Gatys et al., arXiv:1606.05897, section 5, luminance-only transfer.
    """
    return content + (luminance(image) - luminance(content)).to(content.dtype)


def recolored(image: Tensor, reference: Tensor, eps: float = 1e-5) -> Tensor:
    r"""An image whose RGB values have a reference's mean and covariance (CORAL).

    .. math:: x' = \Sigma_r^{1/2}\, \Sigma_x^{-1/2}\, (x - \mu_x) + \mu_r

    Args:
        image: [B, 3, H, W], or one image for all references.
        reference: [B, 3, h, w].
        eps: added to the diagonals, for images of one colour.

    Returns:
        [B, 3, H, W], which may leave the images' range.

    Source: Sun et al., AAAI 2016, arXiv:1511.05547; for style transfer Gatys et al., arXiv:1606.05897, section 4, and
    the option "preserve colour" of Huang and Belongie's code.
    """
    centred, _, own = _moments(image, eps)
    _, mean, wanted = _moments(reference, eps)
    change = _power(wanted, 0.5) @ _power(own, -0.5)
    pixels = change @ centred + mean
    return pixels.reshape(-1, *image.shape[1:]).to(image.dtype)


def _moments(image: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Centred pixels [B, 3, N], their mean [B, 3, 1], and their covariance [B, 3, 3]."""
    pixels = upcast(image).flatten(2)
    mean = pixels.mean(2, keepdim=True)
    centred = pixels - mean
    covariance = centred @ centred.transpose(1, 2) / max(1, pixels.shape[2] - 1)
    return centred, mean, covariance + eps * torch.eye(3, dtype=pixels.dtype, device=pixels.device)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """A symmetric positive matrix to a power."""
    values, vectors = torch.linalg.eigh(covariance)
    power: Tensor = (
        vectors * values.clamp_min(torch.finfo(values.dtype).tiny).pow(exponent)[:, None] @ vectors.transpose(1, 2)
    )
    return power
