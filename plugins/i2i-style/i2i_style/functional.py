"""Feature statistics, AdaIN, total variation, and the exchange of colours between images."""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor

from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm
from i2i.nn.functional.precision import upcast


def mean_std(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    r"""Return the mean and the deviation of each channel over its pixels, :math:`\sqrt{\sigma^2 + \epsilon}`.

    The variance is unbiased.

    Args:
        features: [B, C, H, W]; half precision is computed in float32.
        eps: added to the variance.

    Returns:
        Mean and deviation, [B, C] each.

    Raises:
        ShapeError: the feature maps have one pixel, which has no variance.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868; unbiased as in its Torch and PyTorch implementations.

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
    r"""Give a content's features the statistics of a style, :math:`\sigma(y)\,(x - \mu(x)) / \sigma(x) + \mu(y)`.

    Args:
        content: features x, [B, C, H, W].
        style: features y, [B, C, h, w] of any size, or [1, C, h, w] for all contents.
        eps: added to both variances.

    Returns:
        Features [B, C, H, W].

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 8.
    """
    mean, std = (value.expand(content.shape[0], -1) for value in mean_std(style, eps))
    return instance_norm(content, eps, unbiased=True, gamma=std, beta=mean)


def total_variation(image: Tensor, power: int = 2) -> Tensor:
    r"""Return the mean of :math:`|\Delta|^p` between vertical neighbours plus that between horizontal neighbours.

    Args:
        image: [B, C, H, W].
        power: p.

    Returns:
        A scalar.

    Source: Mahendran and Vedaldi, CVPR 2015, arXiv:1412.0035, section 2.2, with beta = 2.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]))
        tensor(4.)
    """
    image = upcast(image)
    vertical, horizontal = image[..., 1:, :] - image[..., :-1, :], image[..., 1:] - image[..., :-1]
    return vertical.abs().pow(power).mean() + horizontal.abs().pow(power).mean()


def transfer_luminance(image: Tensor, content: Tensor) -> Tensor:
    """Combine the luminance of an image with the colours of a content.

    In YUV the chrominances are multiples of B - Y and R - Y, so exchanging Y alone adds the same number to red, green
    and blue.

    Args:
        image: [B, 3, H, W].
        content: [B, 3, H, W] in the same range.

    Returns:
        [B, 3, H, W]; values may leave the range of the inputs.

    Source: Gatys et al., arXiv:1606.05897, section 5, luminance-only transfer.
    """
    difference = rgb_to_grayscale(upcast(image)) - rgb_to_grayscale(upcast(content))
    return content + difference.to(content.dtype)


def match_color(image: Tensor, reference: Tensor, eps: float = 1e-5) -> Tensor:
    r"""Give the RGB values of an image the mean and the covariance of a reference's (CORAL).

    .. math:: x' = \Sigma_r^{1/2}\, \Sigma_x^{-1/2}\, (x - \mu_x) + \mu_r

    Args:
        image: [B, 3, H, W], or [1, 3, H, W] for all references.
        reference: [B, 3, h, w].
        eps: added to the diagonals of the covariances, for images of one colour.

    Returns:
        [B, 3, H, W]; values may leave the range of the inputs.

    Source: Sun et al., AAAI 2016, arXiv:1511.05547; for style transfer Gatys et al., arXiv:1606.05897, section 4, and
    the option "preserve colour" of Huang and Belongie's implementation.
    """
    centred, _, covariance = _color_moments(image, eps)
    _, reference_mean, reference_covariance = _color_moments(reference, eps)
    transform = _matrix_power(reference_covariance, 0.5) @ _matrix_power(covariance, -0.5)
    pixels = transform @ centred + reference_mean
    return pixels.reshape(-1, *image.shape[1:]).to(image.dtype)


def _color_moments(image: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return centred pixels [B, 3, N], their mean [B, 3, 1] and their covariance [B, 3, 3]."""
    pixels = upcast(image).flatten(2)
    mean = pixels.mean(2, keepdim=True)
    centred = pixels - mean
    covariance = centred @ centred.transpose(1, 2) / max(1, pixels.shape[2] - 1)
    return centred, mean, covariance + eps * torch.eye(3, dtype=pixels.dtype, device=pixels.device)


def _matrix_power(covariance: Tensor, exponent: float) -> Tensor:
    """Return powers of symmetric positive matrices [B, 3, 3]."""
    values, vectors = torch.linalg.eigh(covariance)
    powers = values.clamp_min(torch.finfo(values.dtype).tiny).pow(exponent)
    power: Tensor = vectors * powers[:, None] @ vectors.transpose(1, 2)
    return power
