"""Layers of StyleGAN2 without styles: equalized learning rate, blurred resizing, noise, minibatch deviation."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive
from i2i.nn.functional.resampling import DOUBLING, blur, blur_kernel

Resize = Literal["down", "up"]
DEVIATION_EPS = 1e-8
"""Added to the variance by `MinibatchDeviation`."""


class EqualizedConv2d(nn.Module):
    r"""Convolution whose weight starts at N(0, 1) and is multiplied by :math:`1 / \sqrt{C k^2}` when it is used.

    Applying He's constant at run time, not at initialization, makes an optimizer that normalizes its steps, such as
    Adam, update all layers equally fast.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', H', W'].
        kernel_size: k, side of the kernel in pixels.
        stride: of the convolution.
        padding: zeros added on each side.
        bias: whether a bias is added, initially 0.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 4.1; the gain is left to the activation.
    """

    def __init__(
        self,
        in_channels: Positive,
        out_channels: Positive,
        kernel_size: Positive,
        stride: Positive = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)

    def transposed(self, x: Tensor) -> Tensor:
        """Apply the transposed convolution of stride 2, without bias and padding: [B, C', 2·H - 2 + k, ...]."""
        return F.conv_transpose2d(x, (self.weight * self.scale).transpose(0, 1), stride=2)


class EqualizedLinear(nn.Module):
    r"""Linear layer whose weight is multiplied by :math:`r / \sqrt{C}` when it is used, and its bias by r.

    Args:
        in_features: numbers C in each input vector.
        out_features: numbers in each output vector.
        bias: whether a bias is added, initially 0.
        rate: r, the layer's factor of the learning rate; 0.01 in StyleGAN's mapping network.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 4.1; rate: Karras et al., CVPR 2019, arXiv:1812.04948.
    """

    def __init__(self, in_features: Positive, out_features: Positive, bias: bool = True, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.scale, self.rate = rate / math.sqrt(in_features), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, None if self.bias is None else self.bias * self.rate)


class ScaledLeakyReLU(nn.Module):
    r"""Leaky ReLU times :math:`\sqrt 2`, which keeps the variance of what equalized layers give.

    Args:
        negative_slope: slope below 0.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958.

    Example:
        >>> import torch
        >>> ScaledLeakyReLU()(torch.tensor([1.0, -1.0]))
        tensor([ 1.4142, -0.2828])
    """

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope) * math.sqrt(2)


class Noise(nn.Module):
    """Add N(0, 1) noise, one number per pixel, times a learned weight that starts at 0; nothing in evaluation.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, section 2.2. There the noise remains at inference; a
    translation should be reproducible, so here its mean takes its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    @property
    def draws_random_numbers(self) -> bool:
        """Whether the layer draws in its present mode; see `i2i.nn.layers.independence`."""
        return self.training

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        batch, _, height, width = x.shape
        return x + self.weight * torch.randn(batch, 1, height, width, device=x.device, dtype=x.dtype)


class MinibatchDeviation(nn.Module):
    r"""Append the standard deviation over a group of images, averaged over all features, as a constant channel.

    .. math:: s_m = \frac{1}{CHW} \sum_{chw} \sqrt{\frac{1}{G} \sum_g (x_{gmchw} - \mu_{mchw})^2 + \epsilon}

    A discriminator then sees when a generator's images have lost their variety.

    Args:
        group: G, number of images in a group; where the batch is no multiple of it, the largest smaller number that
            divides the batch. Image b of a batch of G·M belongs to group b mod M. None for the whole batch.
        channels: number of channels that are appended: each is the average over as many consecutive features. It must
            divide C.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 3; groups of 4: StyleGAN2, CVPR 2020, arXiv:1912.04958.
    """

    mixes_samples: ClassVar[bool] = True

    def __init__(self, group: Positive | None = 4, channels: Positive = 1) -> None:
        super().__init__()
        self.group, self.channels = group, channels

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, C, H, W] to [B, C + channels, H, W]."""
        batch, channels, height, width = x.shape
        # Not `min`: an export for batches that hold a whole group keeps the batch dynamic.
        largest = self.group if self.group is not None and self.group <= batch else batch
        group = next(size for size in range(largest, 0, -1) if batch % size == 0)
        groups = x.reshape(group, batch // group, self.channels, channels // self.channels, height, width)
        variance = (groups - groups.mean(0)).square().mean(0)
        deviation = (variance + DEVIATION_EPS).sqrt().mean((2, 3, 4))
        planes = deviation.repeat(group, 1).view(batch, self.channels, 1, 1).expand(-1, -1, height, width)
        return torch.cat([x, planes], 1)


class StyleConv(nn.Module):
    """Equalized convolution, then noise, bias, and the scaled leaky ReLU.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result.
        kernel_size: side of the kernel in pixels; odd.
        resize: `down` halves even sides by the filter [1, 3, 3, 1] and a convolution of stride 2; `up` doubles them by
            a transposed convolution of stride 2 and the filter times 4; None keeps them.
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
        # Filter and convolution of stride 2 shorten an even side by their kernels; padding restores n / 2.
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
    r"""Residual block of StyleGAN2's discriminator: :math:`(s(x) + \mathrm{conv}(\mathrm{conv}(x))) / \sqrt 2`.

    Two 3x3 convolutions; the skip s is a 1x1 convolution where size or channels change, otherwise the identity.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', H, W].
        down: whether the second convolution halves the sides.

    Source: StyleGAN2, Karras et al., CVPR 2020, arXiv:1912.04958, section 4.1.
    """

    def __init__(self, in_channels: Positive, out_channels: Positive, down: bool = False) -> None:
        super().__init__()
        self.first = StyleConv(in_channels, in_channels)
        self.second = StyleConv(in_channels, out_channels, resize="down" if down else None)
        changes = down or in_channels != out_channels
        skip = StyleConv(in_channels, out_channels, 1, "down" if down else None, activate=False)
        self.skip = skip if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (self.skip(x) + self.second(self.first(x))) / math.sqrt(2)
        return y
