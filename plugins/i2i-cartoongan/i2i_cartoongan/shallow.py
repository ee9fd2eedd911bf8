"""The discriminator `shallow`: CartoonGAN's, for small patches, which suffice for the edges of cartoons."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.contracts import Activation, DiscriminatorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Padding, spectral_conv


class Shallow(nn.Module):
    """CartoonGAN's discriminator: a convolution, pairs of one of stride 2 and one of stride 1, and two more.

    All kernels are 3x3. With two halvings and 32 channels the widths are 32, 64, 128, 128, 256, 256 and 1, a logit has
    a receptive field of 37x37 pixels, and there is a logit for every 4x4 pixels.

    Args:
        channels: channels after the first convolution.
        halvings: number of convolutions of stride 2.
        norm: norm after the second convolution of each pair and after the last but one; None for none.
        activation: activation of all layers but the last.
        padding: padding of one pixel before each convolution.
        pad_last: whether the last two convolutions are padded too.
        spectral_norm: whether weights are spectrally normalized, as in AnimeGAN.
        init: initialization of the weights, which the paper does not describe.
        in_channels: channels of the images.

    Source: Chen, Lai and Liu, CVPR 2018, figure 2; padding and batch norm as in mnicnc404/CartoonGan-tensorflow.
    """

    def __init__(
        self,
        channels: Positive = 32,
        halvings: Positive = 2,
        norm: Factory[Norm] | None = NORM("bn"),
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        padding: Padding = "reflect",
        pad_last: bool = False,
        spectral_norm: bool = False,
        init: Initialization = "default",
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.smallest_image = smallest_image(halvings, pad_last)
        widths = [channels * 2**depth for depth in range(1, halvings + 2)]

        def block(in_channels: int, out_channels: int, stride: int, normed: bool, pad: int = 1) -> ConvBlock:
            options = {"norm": norm if normed else None, "activation": activation, "spectral_norm": spectral_norm}
            return ConvBlock(in_channels, out_channels, 3, stride, pad, padding, **options)  # type: ignore[arg-type]

        self.blocks = nn.ModuleList([block(in_channels, channels, 1, normed=False)])
        for width, (inner, outer) in zip([channels, *widths[1:]], pairwise(widths), strict=False):
            self.blocks += [block(width, inner, 2, normed=False), block(inner, outer, 1, normed=True)]
        last_pad = int(pad_last)
        self.blocks.append(block(widths[-1], widths[-1], 1, normed=True, pad=last_pad))
        self.final = spectral_conv(spectral_norm, widths[-1], 1, 3, padding=last_pad, padding_mode=padding)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, halvings: int, pad_last: bool) -> None:
        """Refuse images that are too small for the halvings."""
        smallest = smallest_image(halvings, pad_last)
        if (side := min(height_width(image_size))) < smallest:
            raise OptionError("halvings", f"{halvings} halvings need images of at least {smallest} px, got {side} px")

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Return logits [B, 1, h, w] of images [B, C, H, W] in [-1, 1], as the head `patch`."""
        if image.ndim != 4 or image.shape[1] != self.in_channels or min(image.shape[2:]) < self.smallest_image:
            raise ShapeError(
                f"shallow discriminator: expected images [B, {self.in_channels}, H, W] with sides of at least "
                f"{self.smallest_image}, got {list(image.shape)}"
            )
        x = image
        for block in self.blocks:
            x = block(x)
        return DiscriminatorOutput({"patch": self.final(x)})


def smallest_image(halvings: int, pad_last: bool) -> int:
    """Return the smallest side of an image: 5 pixels remain before two unpadded convolutions, 2 before padded ones.

    A convolution of stride 2 turns a side n into ceil(n / 2).

    Example:
        >>> smallest_image(2, False), smallest_image(2, True)
        (17, 5)
    """
    return int(((2 if pad_last else 5) - 1) * 2**halvings + 1)
