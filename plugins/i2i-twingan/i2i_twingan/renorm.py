"""Batch renormalization: batch norm that is held near its running statistics by two clipped corrections."""

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

    The bounds follow the step: those of place i hold up to and including step `boundaries[i]`, the last ones beyond.
    In a translator whose networks grow, steps are counted from the beginning of each stage.

    Args:
        num_features: channels C of the features [B, C, H, W].
        eps: added to the batch's variance.
        decay: of the running statistics.
        boundaries: steps after which the next bounds hold.
        r_max, r_min, d_max: one for each stretch between boundaries.

    Source: Ioffe, NeurIPS 2017, arXiv:1702.03275, algorithm 1; figures of TwinGAN's code, whose r_min are rounded.
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
        self.stretch = 0
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
        """Bounds for each stretch."""
        if list(boundaries) != sorted(set(boundaries)):
            raise OptionError("boundaries", f"expected steps that increase, got {list(boundaries)}")
        for name, bounds in (("r_max", r_max), ("r_min", r_min), ("d_max", d_max)):
            if len(bounds) != len(boundaries) + 1:
                few = len(boundaries)
                raise OptionError(name, f"expected {few + 1} numbers for {few} boundaries, got {len(bounds)}")

    def at_step_(self, step: int) -> None:
        """Chooses the bounds."""
        self.stretch = bisect_left(self.boundaries, step)

    @property
    def mixes_samples(self) -> bool:
        """Whether a sample's result depends on the rest of its batch."""
        return self.training

    def forward(self, x: Tensor) -> Tensor:
        wide = upcast(x)
        mean, deviation = self.mean.to(wide.dtype), self.deviation.to(wide.dtype)
        if not self.training:
            scale = self.weight / deviation
            return self._scaled(wide, scale, self.bias - mean * scale).to(x.dtype)
        variance, of_batch = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        spread = (variance + self.eps).sqrt()
        with torch.no_grad():
            r = (spread / deviation).clamp(self.r_min[self.stretch], self.r_max[self.stretch])
            most = self.d_max[self.stretch]
            d = ((of_batch - mean) / deviation).clamp(-most, most)
            self.mean.lerp_(of_batch.to(self.mean.dtype), 1 - self.decay)
            self.deviation.lerp_(spread.to(self.deviation.dtype), 1 - self.decay)
        scale = self.weight * r / spread
        return self._scaled(wide, scale, self.bias + self.weight * d - of_batch * scale).to(x.dtype)

    @staticmethod
    def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return x * rearrange(scale, "c -> c 1 1") + rearrange(shift, "c -> c 1 1")
