"""The divergence that keeps a latent near the prior."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional.precision import upcast


class KL(nn.Module):
    r"""Divergence of :math:`N(h, I)` from the prior :math:`N(0, I)`, up to a factor: :math:`\mathbb{E}[h^2]`.

    The divergence itself is half the sum of squares; UNIT's code takes the mean.

    Source: Liu et al., UNIT, NIPS 2017, arXiv:1703.00848, section 3, L_VAE and L_CC; mingyuliutw/UNIT 28d5982.

    Example:
        >>> import torch
        >>> KL()(torch.tensor([1.0, 3.0]))
        tensor(5.)
    """

    def forward(self, latent: Tensor) -> Tensor:
        return upcast(latent).square().mean()
