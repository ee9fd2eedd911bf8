"""Networks that grow: the generator of PGGAN, and the discriminator of PGGAN and StyleGAN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, Positive, square_side
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import ShapeError
from i2i.methods.growth import LATENT, Growing, blend, doublings, downsample, upsample
from i2i.nn.layers.stylegan2 import MinibatchDeviation
from i2i_stylegan.layers import SLOPE
from i2i_stylegan.mapping import normalize
from i2i_stylegan.resampling import make_filter, smooth

RELU_GAIN = math.sqrt(2)
EPS = 1e-8


class ScaledConv2d(nn.Module):
    r"""Convolution that keeps the sides, with a weight times :math:`g / \sqrt{C k^2}`, and a bias.

    Args:
        in_channels: channels C of the features.
        out_channels: channels of the result.
        kernel_size: k, odd.
        gain: g, which stands before the activation, unlike in StyleGAN2.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, gain: float = RELU_GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add the bias."""
        return self.convolve(x) + self.bias[:, None, None]

    def convolve(self, x: Tensor) -> Tensor:
        """Convolve without the bias."""
        return F.conv2d(x, self.weight * self.scale, padding=self.weight.shape[-1] // 2)


class ScaledLinear(nn.Module):
    r"""Linear layer with a weight times :math:`g r / \sqrt{C}`, and a bias times r.

    Args:
        in_features: numbers C in each input vector.
        out_features: numbers in each output vector.
        gain: g.
        rate: r, factor of the learning rate.
    """

    def __init__(self, in_features: int, out_features: int, gain: float = RELU_GAIN, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale, self.rate = gain * rate / math.sqrt(in_features), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the features of each pixel [B, C, H, W] to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


def leaky(x: Tensor) -> Tensor:
    """Apply the leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def widths(sizes: Sequence[int], channel_base: int, channel_max: int) -> dict[int, int]:
    """Return the number of channels at each size: `channel_base` at 2 px, then half of it at 4 px, and so on."""
    return {size: max(min(2 * channel_base // size, channel_max), 1) for size in sizes}


class PGGANGenerator(Growing, nn.Module):
    """PGGAN's generator: nearest upsampling, two convolutions at each size, features normalized at each pixel.

    The latent code, followed by the one-hot class, is normalized first.

    Args:
        out_channels: channels of the images.
        image_size: largest size, 4 px times a power of two.
        first_size: smallest size, set by the translator's first stage.
        num_classes: number of classes; 0 without.
        z_dim: numbers in a latent code.
        channel_base: channels at a size, times half of the size.
        channel_max: largest number of channels.
        fused: whether imported kernels are those of fused layers, which are stored flipped; the images are the same.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196; tkarras/progressive_growing_of_gans 2504c3f.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 256,
        first_size: int = LATENT,
        num_classes: Annotated[int, Ge(0)] = 0,
        z_dim: Annotated[int, Ge(1)] = 512,
        channel_base: Annotated[int, Ge(1)] = 8192,
        channel_max: Annotated[int, Ge(1)] = 512,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.check(image_size, first_size)
        self.size, self.alpha, self.z_dim, self.fused = square_side(image_size), 1.0, z_dim, fused
        self.size_limit = self.size
        sizes = doublings(LATENT, self.size)
        w = widths(sizes, channel_base, channel_max)
        self.dense = ScaledLinear(z_dim + num_classes, w[LATENT] * LATENT**2, gain=RELU_GAIN / 4)
        self.dense.bias = nn.Parameter(torch.zeros(w[LATENT]))  # one number for each channel
        self.base = ScaledConv2d(w[LATENT], w[LATENT], 3)
        self.blocks = nn.ModuleDict(
            {
                str(size): nn.ModuleList([ScaledConv2d(w[size // 2], w[size], 3), ScaledConv2d(w[size], w[size], 3)])
                for size in sizes[1:]
            }
        )
        first = doublings(first_size, self.size)
        self.to_rgb = nn.ModuleDict({str(size): ScaledConv2d(w[size], out_channels, 1, gain=1.0) for size in first})

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return images [B, C, size, size] for latent codes [B, z_dim] and one-hot classes."""
        code = normalize(z if c is None else torch.cat([z, c], 1))
        x = F.linear(code, self.dense.weight * self.dense.scale).view(z.shape[0], -1, LATENT, LATENT)
        x = pixel_norm(leaky(x + self.dense.bias[:, None, None]))
        x = pixel_norm(leaky(self.base(x)))
        size, small = LATENT, x
        while size < self.size:
            size, small = 2 * size, x
            x = upsample(x)
            for layer in self.blocks[str(size)]:  # type: ignore[attr-defined]
                x = pixel_norm(leaky(layer(x)))
        image: Tensor = self.to_rgb[str(size)](x)
        if self.alpha < 1:
            image = blend(upsample(self.to_rgb[str(size // 2)](small)), image, self.alpha)
        return image


class ProgressiveDiscriminator(Growing, nn.Module):
    """The discriminator of PGGAN and StyleGAN: two convolutions and halving at each size, minibatch deviation at 4 px.

    Args:
        in_channels: channels of the images.
        image_size: largest size.
        first_size: smallest size, set by the translator's first stage.
        num_classes: number of classes; 0 without.
        channel_base: channels at a size, times half of the size.
        channel_max: largest number of channels.
        blur: whether features are filtered before the second convolution of each size, as in StyleGAN.
        fused: whether the halving comes before bias and activation, as in StyleGAN and in PGGAN's fused layers.
        classes: what is done with classes: a `head` classifies them, as in PGGAN, or the score is a `projection`, the
            number of the class among as many outputs, as in StyleGAN.
        mbstd_group_size: number of images of a group.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196; StyleGAN, CVPR 2019, arXiv:1812.04948.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: ImageSize = 256,
        first_size: int = LATENT,
        num_classes: Annotated[int, Ge(0)] = 0,
        channel_base: Annotated[int, Ge(1)] = 8192,
        channel_max: Annotated[int, Ge(1)] = 512,
        blur: bool = False,
        fused: bool = False,
        classes: str = "head",
        mbstd_group_size: Positive = 4,
    ) -> None:
        super().__init__()
        self.check(image_size, first_size)
        self.size, self.alpha = square_side(image_size), 1.0
        self.size_limit = self.size
        self.blur, self.fused, self.classes, self.num_classes = blur, fused, classes, num_classes
        sizes = doublings(LATENT, self.size)
        w = widths(sizes, channel_base, channel_max)
        first = doublings(first_size, self.size)
        self.from_rgb = nn.ModuleDict({str(size): ScaledConv2d(in_channels, w[size], 1) for size in first})
        self.blocks = nn.ModuleDict(
            {
                str(size): nn.ModuleList([ScaledConv2d(w[size], w[size], 3), ScaledConv2d(w[size], w[size // 2], 3)])
                for size in sizes[1:]
            }
        )
        self.deviation = MinibatchDeviation(mbstd_group_size)
        self.base = ScaledConv2d(w[LATENT] + 1, w[LATENT], 3)
        hidden = max(min(channel_base, channel_max), 1)
        self.dense = ScaledLinear(w[LATENT] * LATENT**2, hidden)
        outputs = 1 + num_classes if classes == "head" else max(num_classes, 1)
        self.out = ScaledLinear(hidden, outputs, gain=1.0)
        self.register_buffer("kernel", make_filter((1.0, 2.0, 1.0)), persistent=False)

    kernel: Tensor

    def forward(self, image: Tensor, c: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`, and those of the classes under `classes`.

        Images of the largest size are reduced to the present one, so that penalties on gradients are those of images of
        the largest size, as in the official code.
        """
        size = self.size
        while image.shape[-1] > size:
            image = downsample(image)
        if tuple(image.shape[-2:]) != (size, size):
            raise ShapeError(f"expected images of {size} x {size} px at this step, got {list(image.shape)}")
        x = leaky(self.from_rgb[str(size)](image))
        while size > LATENT:
            x = self._block(size, x)
            if size == self.size and self.alpha < 1:
                x = blend(leaky(self.from_rgb[str(size // 2)](downsample(image))), x, self.alpha)
            size //= 2
        x = leaky(self.base(self.deviation(x)))
        scores: Tensor = self.out(leaky(self.dense(x.flatten(1))))
        if not self.num_classes:
            return DiscriminatorOutput({"image": scores})
        if self.classes == "head":
            return DiscriminatorOutput({"image": scores[:, :1], "classes": scores[:, 1:]})
        if c is None:
            raise ShapeError("this discriminator is conditional: it needs classes")
        return DiscriminatorOutput({"image": (scores * c).sum(1, keepdim=True)})

    def _block(self, size: int, x: Tensor) -> Tensor:
        first, second = self.blocks[str(size)]  # type: ignore[misc]
        x = leaky(first(x))
        x = smooth(x, self.kernel) if self.blur else x
        if self.fused:
            return leaky(downsample(second.convolve(x)) + second.bias[:, None, None])
        return downsample(leaky(second(x)))
