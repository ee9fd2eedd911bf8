"""Convolutions that two domains share, with norms of each domain."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from i2i import Factory, Norm
from i2i_twingan.norms import PixelNorm

SLOPE = 0.2
"""Slope of the LeakyReLUs."""


def width(size: int, channels: int, max_channels: int) -> int:
    """Return the channels of features at a size: `channels` at 4 px, halved with each doubling, at most `max_channels`.

    Example:
        >>> [width(size, 1024, 256) for size in (4, 16, 32, 64, 256)]
        [256, 256, 128, 64, 16]
    """
    return max(1, min(channels * 4 // size, max_channels))


class DomainNorm(nn.Module):
    """One norm for each domain, with parameters and statistics of that domain.

    Args:
        num_features: channels C of the features [B, C, H, W].
        norm: norm that is built once for each domain.
        domains: names of the domains.

    Source: Li, TwinGAN, arXiv:1809.00946; with instance norms it is the conditional instance norm of Dumoulin et al.,
    ICLR 2017, arXiv:1610.07629, with one row for each domain.
    """

    def __init__(self, num_features: int, norm: Factory[Norm], domains: Sequence[str] = ("a", "b")) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({domain: norm(num_features) for domain in domains})  # type: ignore[misc]

    def forward(self, x: Tensor, domain: str) -> Tensor:
        normalized: Tensor = self.norms[domain](x)
        return normalized


class DomainConv(nn.Module):
    """A convolution that domains share, a norm of the domain, LeakyReLU, and pixel norm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd; height and width are kept.
        norm: norm of each domain; None for a convolution with a bias.
        pixel_norm: whether a pixel norm follows the activation.
        active: whether there are an activation and a pixel norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        norm: Factory[Norm] | None,
        pixel_norm: bool = True,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=norm is None)
        self.norm = None if norm is None else DomainNorm(out_channels, norm)
        self.activation = nn.LeakyReLU(SLOPE) if active else None
        self.pixel_norm = PixelNorm(out_channels) if active and pixel_norm else None

    def forward(self, x: Tensor, domain: str) -> Tensor:
        x = self.conv(x)
        x = x if self.norm is None else self.norm(x, domain)
        x = x if self.activation is None else self.activation(x)
        return x if self.pixel_norm is None else self.pixel_norm(x)


class DomainConvs(nn.ModuleList):
    """A sequence of `DomainConv`s."""

    def forward(self, x: Tensor, domain: str) -> Tensor:
        for conv in self:
            x = conv(x, domain)
        return x
