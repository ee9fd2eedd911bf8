"""StyleGAN2's layers without styles: convolutions that blur when they resize, noise, and the residual block."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.nn.functional.blur import DOUBLING, blur, blur_kernel
from i2i.nn.layers.equalized import EqualizedConv2d
from i2i.nn.layers.scaled import ScaledLeakyReLU

Resize = Literal["down", "up"]


class Noise(nn.Module):
    """Adds noise, one number per pixel, times a learned weight that starts at 0; none at inference.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, section 2.2. There it stays at inference; a
    translation should be the same each time, so here its mean takes its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    @property
    def mixes_samples(self) -> bool:
        """While training: what is drawn depends on the order of the calls."""
        return self.training

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        batch, _, height, width = x.shape
        return x + self.weight * torch.randn(batch, 1, height, width, device=x.device, dtype=x.dtype)


class StyleConv(nn.Module):
    """An equalized convolution, then noise, a bias, and the scaled leaky ReLU.

    Args:
        kernel_size: odd.
        resize: `down` halves even sides: the filter [1, 3, 3, 1], then the convolution with stride 2. `up` doubles
            them: the transposed convolution with stride 2, then the filter times 4. None keeps them.
        noise: whether noise is added before the bias.
        activate: whether bias and activation follow.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, section 2 and appendix B.
    """

    kernel: Tensor

    def __init__(
        self,
        in_channels: Positive,
        out_channels: Positive,
        kernel_size: Positive = 3,
        resize: Resize | None = None,
        noise: bool = False,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.resize, self.out_channels = resize, out_channels
        stride, padding = (2, 0) if resize == "down" else (1, kernel_size // 2)
        self.conv = EqualizedConv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.noise = Noise() if noise else None
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1)) if activate else None
        self.activation = ScaledLeakyReLU() if activate else None
        self.register_buffer("kernel", blur_kernel(DOUBLING), persistent=False)
        # Before a stride of 2, what filter and convolution take from an even side is put on it: n becomes n / 2.
        self.padding = (kernel_size + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.resize == "down":
            x = self.conv(blur(x, self.kernel, self.padding))
        elif self.resize == "up":
            x = blur(self.conv.transposed(x), 4 * self.kernel, 1)
        else:
            x = self.conv(x)
        x = x if self.noise is None else self.noise(x)
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)


class StyleResidual(nn.Module):
    r"""Two 3x3 convolutions, the second of which may halve the sides, and a 1x1 one past them where anything changes.

    .. math:: (x' + \mathrm{conv}(\mathrm{conv}(x))) / \sqrt 2

    Args:
        down: whether sides are halved.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, section 4.1: its discriminator's block.
    """

    def __init__(self, in_channels: Positive, out_channels: Positive, down: bool = False) -> None:
        super().__init__()
        self.first = StyleConv(in_channels, in_channels)
        self.second = StyleConv(in_channels, out_channels, resize="down" if down else None)
        changes = down or in_channels != out_channels
        past = StyleConv(in_channels, out_channels, 1, "down" if down else None, activate=False)
        self.past = past if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = (self.past(x) + self.second(self.first(x))) / math.sqrt(2)
        return summed
