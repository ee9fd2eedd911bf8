"""The norms `renorm`, `pixel` and `affine`."""

from __future__ import annotations

from bisect import bisect_left

import torch
from einops import rearrange
from torch import Tensor, nn

from i2i import OptionError
from i2i.nn.functional.precision import upcast


class BatchRenorm(nn.Module):
    r"""Normalizes each channel over the batch and its pixels, corrected towards the running statistics.

    .. math:: y = \gamma \Big(\frac{x - \mu_B}{\sigma_B}\, r + d\Big) + \beta, \quad
        r = \mathrm{clip}\Big(\frac{\sigma_B}{\sigma}, r_{min}, r_{max}\Big), \quad
        d = \mathrm{clip}\Big(\frac{\mu_B - \mu}{\sigma}, -d_{max}, d_{max}\Big)

    with :math:`\sigma_B = \sqrt{\mathrm{var} + \epsilon}`; r and d get no gradient. After each batch in training
    :math:`\mu \leftarrow \mu + (1 - decay)(\mu_B - \mu)`, and likewise sigma. At inference
    :math:`y = \gamma (x - \mu) / \sigma + \beta`.

    The bounds depend on the step: the i-th ones hold up to and including step `boundaries[i]`, the last ones then. In
    a translator whose networks grow, steps are counted from the start of each stage.

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: added to the batch's variance.
        decay: decay of the running statistics.
        boundaries: steps after which the next bounds hold.
        r_max: upper bounds of r, one more than boundaries.
        r_min: lower bounds of r, one more than boundaries.
        d_max: bounds of the absolute value of d, one more than boundaries.

    Raises:
        OptionError: boundaries do not increase, or the number of bounds is wrong.

    Source: Ioffe, NeurIPS 2017, arXiv:1702.03275, algorithm 1; values of TwinGAN's implementation, with rounded r_min.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-3,
        decay: float = 0.99,
        boundaries: tuple[int, ...] = (10_000, 20_000, 30_000),
        r_max: tuple[float, ...] = (1.1, 1.5, 2.0, 4.0),
        r_min: tuple[float, ...] = (0.9, 0.66, 0.5, 0.25),
        d_max: tuple[float, ...] = (0.1, 0.3, 0.5, 1.0),
    ) -> None:
        super().__init__()
        self.check(boundaries, r_max, r_min, d_max)
        self.eps, self.decay, self.boundaries = eps, decay, boundaries
        self.r_max, self.r_min, self.d_max = r_max, r_min, d_max
        self.interval = 0
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))

    @classmethod
    def check(
        cls,
        boundaries: tuple[int, ...],
        r_max: tuple[float, ...],
        r_min: tuple[float, ...],
        d_max: tuple[float, ...],
    ) -> None:
        """Refuse boundaries that do not increase, and a wrong number of bounds."""
        if list(boundaries) != sorted(set(boundaries)):
            raise OptionError("boundaries", f"expected steps that increase, got {list(boundaries)}")
        for name, bounds in (("r_max", r_max), ("r_min", r_min), ("d_max", d_max)):
            if len(bounds) != len(boundaries) + 1:
                count = len(boundaries)
                raise OptionError(name, f"expected {count + 1} numbers for {count} boundaries, got {len(bounds)}")

    def at_step_(self, step: int) -> None:
        """Select the bounds."""
        self.interval = bisect_left(self.boundaries, step)

    @property
    def mixes_samples(self) -> bool:
        """Whether a sample's result depends on the other samples of its batch."""
        return self.training

    def forward(self, x: Tensor) -> Tensor:
        features = upcast(x)
        mean, deviation = self.mean.to(features.dtype), self.deviation.to(features.dtype)
        if not self.training:
            scale = self.weight / deviation
            return _affine(features, scale, self.bias - mean * scale).to(x.dtype)
        variance, batch_mean = torch.var_mean(features, dim=(0, 2, 3), correction=0)
        batch_deviation = (variance + self.eps).sqrt()
        with torch.no_grad():
            r = (batch_deviation / deviation).clamp(self.r_min[self.interval], self.r_max[self.interval])
            d_max = self.d_max[self.interval]
            d = ((batch_mean - mean) / deviation).clamp(-d_max, d_max)
            self.mean.lerp_(batch_mean.to(self.mean.dtype), 1 - self.decay)
            self.deviation.lerp_(batch_deviation.to(self.deviation.dtype), 1 - self.decay)
        scale = self.weight * r / batch_deviation
        return _affine(features, scale, self.bias + self.weight * d - batch_mean * scale).to(x.dtype)


class PixelNorm(nn.Module):
    r"""Scales the features of each pixel to unit mean square: :math:`y = x / \sqrt{\mathrm{mean}_c(x^2) + \epsilon}`.

    Args:
        num_features: channels C of the features [B, C, H, W]; not used.
        eps: added to the mean square; 1e-6 as in TwinGAN's implementation, PGGAN has 1e-8.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, section 4.2.

    Example:
        >>> PixelNorm(2, eps=0.0)(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten()
        tensor([0.8485, 1.1314])
    """

    def __init__(self, num_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        features = upcast(x)
        return (features * torch.rsqrt(features.square().mean(1, keepdim=True) + self.eps)).to(x.dtype)


class Affine(nn.Module):
    r"""A scale and a shift per channel, :math:`y = \gamma x + \beta`, without statistics.

    It suits the last layer of a network with instance norms, where an instance norm would give all images the same mean
    colour.

    Args:
        num_features: channels C of the features [B, C, H, W].
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return _affine(x, self.weight, self.bias)


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift each channel of features [B, C, H, W]."""
    return x * rearrange(scale, "c -> c 1 1") + rearrange(shift, "c -> c 1 1")
