"""Real-ESRGAN's random degradations: blur, resizing, noise and JPEG, twice, in the order of the reference.

Source: Wang et al., Real-ESRGAN, arXiv:2107.10833, section 3; xinntao/Real-ESRGAN a4abfb2; BasicSR d21eac8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from random import Random

import numpy as np
import torch
from kornia.filters import filter2d, gaussian_blur2d
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

_SIZES = range(7, 22, 2)
_FORMS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso")
_FORM_WEIGHTS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
_SINC = 0.1


@dataclass(frozen=True)
class Stage:
    """Ranges of one of the two rounds.

    Args:
        sigma: standard deviations of the blur, in pixels.
        resize: probabilities of enlarging and of reducing; the size is kept otherwise.
        factors: smallest and largest factor of the size.
        noise: standard deviations of Gaussian noise, of 255.
        poisson: factors of Poisson noise.
    """

    sigma: tuple[float, float]
    resize: tuple[float, float]
    factors: tuple[float, float]
    noise: tuple[float, float]
    poisson: tuple[float, float]


FIRST = Stage((0.2, 3), (0.2, 0.7), (0.15, 1.5), (1, 30), (0.05, 3))
SECOND = Stage((0.2, 1.5), (0.3, 0.4), (0.3, 1.2), (1, 25), (0.05, 2.5))


def real_esrgan(image: Tensor, side: int, random: Random) -> Tensor:
    """Return a degraded image of 8 bits.

    Args:
        image: [1, 3, H, W] in [0, 1], square; sharpened already where the reference does so.
        side: height and width of the result in pixels.
        random: generator of all numbers.
    """
    image = _filtered(image, random_kernel(FIRST.sigma, random))
    image = _resized(image, image.shape[-1], FIRST, random)
    image = jpeg(noisy(image, FIRST, random), random.randint(30, 95))
    if random.random() < 0.8:
        image = _filtered(image, random_kernel(SECOND.sigma, random))
    image = _resized(image, side, SECOND, random)
    image = noisy(image, SECOND, random)
    final = final_kernel(random)
    mode, quality = _mode(random), random.randint(30, 95)
    if random.random() < 0.5:
        image = jpeg(_filtered(_to_side(image, side, mode), final), quality)
    else:
        image = _filtered(_to_side(jpeg(image, quality), side, mode), final)
    return (image.clamp(0, 1) * 255).round() / 255


def sharpened(image: Tensor, weight: float = 0.5, threshold: float = 10, size: int = 51) -> Tensor:
    """Return images [B, C, H, W] in [0, 1] after unsharp masking of edges alone.

    Args:
        image: images.
        weight: share of the difference from the blurred image that is added.
        threshold: smallest difference that counts, of 255.
        size: side of the Gaussian kernel in pixels.
    """
    size = min(size, 2 * ((min(image.shape[2:]) - 1) // 2) + 1)
    sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8  # OpenCV's, for a kernel whose sigma is not given
    difference = image - gaussian_blur2d(image, size, (sigma, sigma))
    mask = gaussian_blur2d((difference.abs() * 255 > threshold).to(image.dtype), size, (sigma, sigma))
    return torch.lerp(image, (image + weight * difference).clamp(0, 1), mask)


def random_kernel(sigma: tuple[float, float], random: Random) -> Tensor:
    """Return a random blur kernel [1, k, k]: a sinc with probability 0.1, otherwise one of six bell shapes."""
    size = random.choice(_SIZES)
    if random.random() < _SINC:
        return sinc_kernel(size, random.uniform(math.pi / 3 if size < 13 else math.pi / 5, math.pi))
    form = random.choices(_FORMS, _FORM_WEIGHTS)[0]
    first = random.uniform(*sigma)
    second, angle = (first, 0.0) if form.endswith("_iso") or form == "iso" else (
        random.uniform(*sigma), random.uniform(-math.pi, math.pi)
    )  # fmt: skip
    if form.startswith("generalized"):
        beta = random.uniform(0.5, 1) if random.random() < 0.5 else random.uniform(1, 4)
        return bell_kernel(size, (first, second), angle, beta)
    if form.startswith("plateau"):
        beta = 1.0 if random.random() < 0.5 else random.uniform(1, 2)
        return bell_kernel(size, (first, second), angle, beta, plateau=True)
    return bell_kernel(size, (first, second), angle)


def final_kernel(random: Random) -> Tensor:
    """Return the last kernel [1, k, k]: a sinc with probability 0.8, otherwise the identity."""
    if random.random() < 0.8:
        return sinc_kernel(random.choice(_SIZES), random.uniform(math.pi / 3, math.pi))
    return torch.ones(1, 1, 1)


def bell_kernel(
    size: int, sigma: tuple[float, float], angle: float = 0.0, beta: float = 1.0, plateau: bool = False
) -> Tensor:
    r"""Return a kernel [1, k, k] whose sum is 1.

    With :math:`q = x^T \Sigma^{-1} x` it is proportional to :math:`e^{-q^\beta / 2}`, a Gaussian for :math:`\beta = 1`,
    or to :math:`1 / (1 + q^\beta)` as a plateau.

    Args:
        size: side k in pixels, odd.
        sigma: standard deviations along both axes.
        angle: of the first axis, in radians.
        beta: exponent.
        plateau: which of the two.
    """
    x, y = _grid(size)
    along, across = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    distance = ((along / sigma[0]).square() + (across / sigma[1]).square()).pow(beta)
    kernel = 1 / (1 + distance) if plateau else torch.exp(-distance / 2)
    return (kernel / kernel.sum())[None].float()


def sinc_kernel(size: int, cutoff: float) -> Tensor:
    r"""Return a circular low-pass filter [1, k, k] whose sum is 1, :math:`\omega J_1(\omega r) / (2 \pi r)`.

    Args:
        size: side k in pixels, odd.
        cutoff: :math:`\omega`, in radians per pixel.
    """
    x, y = _grid(size)
    radius = torch.hypot(x, y)
    inside = radius > 0
    safe = torch.where(inside, radius, torch.ones_like(radius))
    kernel = torch.where(
        inside, cutoff * torch.special.bessel_j1(cutoff * safe) / (2 * math.pi * safe), cutoff**2 / (4 * math.pi)
    )
    return (kernel / kernel.sum())[None].float()


def noisy(image: Tensor, stage: Stage, random: Random) -> Tensor:
    """Return an image [1, 3, H, W] with Gaussian or Poisson noise, each with probability 0.5; grey with 0.4."""
    generator = torch.Generator().manual_seed(random.getrandbits(48))
    gaussian, gray = random.random() < 0.5, random.random() < 0.4
    if gaussian:
        shape = (1, 1 if gray else 3, *image.shape[2:])
        noise = torch.randn(shape, generator=generator) * random.uniform(*stage.noise) / 255
    else:
        levels = (image.clamp(0, 1) * 255).round() / 255
        if gray:
            levels = (levels * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
            levels = (levels * 255).round() / 255
        photons = 2 ** math.ceil(math.log2(len(levels.unique())))
        noise = torch.poisson(levels * photons, generator=generator) / photons - levels
        noise = noise * random.uniform(*stage.poisson)
    return (image + noise).clamp(0, 1)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Return an image [1, 3, H, W] in [0, 1] after JPEG compression."""
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    decoded = np.array(Image.open(buffer), dtype=np.float32) / 255
    return torch.from_numpy(decoded).permute(2, 0, 1)[None]


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(size, dtype=torch.double) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter an image; where it is smaller than the kernel's half, only the kernel's middle is used."""
    excess = kernel.shape[-1] // 2 - (min(image.shape[2:]) - 1)
    if excess > 0:
        kernel = kernel[:, excess:-excess, excess:-excess]
        kernel = kernel / kernel.sum()
    return filter2d(image, kernel, "reflect")


def _mode(random: Random) -> str:
    return random.choice(("area", "bilinear", "bicubic"))


def _resized(image: Tensor, side: int, stage: Stage, random: Random) -> Tensor:
    kind, (up, down), (smallest, largest) = random.random(), stage.resize, stage.factors
    factor = random.uniform(1, largest) if kind < up else random.uniform(smallest, 1) if kind < up + down else 1.0
    return _to_side(image, max(4, int(side * factor)), _mode(random))


def _to_side(image: Tensor, side: int, mode: str) -> Tensor:
    return F.interpolate(image, (side, side), mode=mode)
