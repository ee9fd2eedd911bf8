"""Statistics of features, total variation, and exchange of colours between images."""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor

from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm
from i2i.nn.functional.precision import upcast


def mean_std(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    r"""Mean and deviation of each map over its pixels, :math:`\sqrt{\sigma^2 + \epsilon}` with the unbiased variance.

    Args:
        features: [B, C, H, W]; half precision is computed in float32.

    Returns:
        mean, std: [B, C] each.

    Raises:
        ShapeError: maps of one pixel have no variance.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868; unbiased as in its Torch and PyTorch codes.

    Example:
        >>> mean_std(torch.tensor([[[[1.0, 3.0]]]]), eps=0.0)
        (tensor([[2.]]), tensor([[1.4142]]))
    """
    flat = upcast(features).flatten(2)
    if flat.shape[2] < 2:
        raise ShapeError(
            f"mean_std: expected maps of more than one pixel, got {list(features.shape)}; give a larger image"
        )
    mean = flat.mean(2)
    variance = (flat - mean[..., None]).square().sum(2) / (flat.shape[2] - 1)
    return mean, (variance + eps).sqrt()


def adain(content: Tensor, style: Tensor, eps: float = 1e-5) -> Tensor:
    r"""The content's features with the style's statistics, :math:`\sigma(y)\,(x - \mu(x)) / \sigma(x) + \mu(y)`.

    Args:
        content: x, [B, C, H, W].
        style: y, [B, C, h, w] of any size, or of one sample for all.

    Returns:
        [B, C, H, W].

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 8.
    """
    mean, std = (value.expand(len(content), -1) for value in mean_std(style, eps))
    return instance_norm(content, eps, unbiased=True, gamma=std, beta=mean)


def total_variation(image: Tensor, power: int = 2) -> Tensor:
    r"""Mean of :math:`|\Delta|^p` of neighbours in columns, plus the same in rows: one number.

    Args:
        image: [B, C, H, W].
        power: p.

    Source: Mahendran and Vedaldi, CVPR 2015, arXiv:1412.0035, section 2.2, with beta = 2.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]))
        tensor(4.)
    """
    wide = upcast(image)
    down, right = wide[..., 1:, :] - wide[..., :-1, :], wide[..., 1:] - wide[..., :-1]
    return down.abs().pow(power).mean() + right.abs().pow(power).mean()


def transfer_luminance(image: Tensor, content: Tensor) -> Tensor:
    """An image's luminance with a content's colours, both [B, 3, H, W].

    In YUV the colours U and V are multiples of B - Y and R - Y, so to exchange Y alone is to add one number to red,
    green and blue.

    Source: Gatys et al., arXiv:1606.05897, section 5, luminance-only transfer.
    """
    return content + (_luminance(image) - _luminance(content)).to(content.dtype)


def match_color(image: Tensor, reference: Tensor, eps: float = 1e-5) -> Tensor:
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


def _luminance(image: Tensor) -> Tensor:
    """Y [B, 1, H, W] of RGB images, ITU-R BT.601, at least in float32."""
    return rgb_to_grayscale(upcast(image))


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
