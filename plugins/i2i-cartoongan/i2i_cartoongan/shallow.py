"""CartoonGAN's shallow discriminator, which looks at small patches: for the edges of cartoons that is enough."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.contracts import Activation, DiscriminatorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import ConvBlock, Padding, SpectralConv2d
from i2i.nn.layers.initialization import Initialization, initialize


class Shallow(nn.Module):
    """A flat convolution; then some times one that halves the size and one that doubles the channels; then two more.

    All kernels are 3 x 3. With two halvings and 32 channels the widths are 32, 64, 128, 128, 256, 256 and 1, a logit
    stands for 37 pixels a side, and there is one for every 4 pixels.

    Args:
        channels: after the first convolution.
        halvings: how often the size is halved.
        norm: after the convolutions of each halving's second half and the last but one.
        padding: how a pixel is added on every side before each convolution.
        pad_last: whether it is before the last two as well.
        spectral_norm: divides the weights by their spectral norm (AnimeGAN).
        init: how the weights start; the paper does not say.

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
    ) -> None:
        super().__init__()
        self.smallest_image = smallest_image(halvings, pad_last)
        widths = [channels * 2**depth for depth in range(1, halvings + 2)]

        def block(before: int, after: int, stride: int, normed: bool, pad: int = 1) -> ConvBlock:
            one = norm if normed else None
            return ConvBlock(
                before, after, 3, stride, pad, padding, norm=one, activation=activation, spectral_norm=spectral_norm
            )

        self.blocks = nn.ModuleList([block(3, channels, 1, normed=False)])
        for width, (narrow, wide) in zip([channels, *widths[1:]], pairwise(widths), strict=False):
            self.blocks += [block(width, narrow, 2, normed=False), block(narrow, wide, 1, normed=True)]
        last = int(pad_last)
        self.blocks.append(block(widths[-1], widths[-1], 1, normed=True, pad=last))
        convolution = SpectralConv2d if spectral_norm else nn.Conv2d
        self.final = convolution(widths[-1], 1, 3, padding=last, padding_mode=padding)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, halvings: int, pad_last: bool) -> None:
        """Refuses more halvings than an image of this size can pass through."""
        smallest = smallest_image(halvings, pad_last)
        if (side := min(height_width(image_size))) < smallest:
            raise OptionError("halvings", f"{halvings} halvings need images of at least {smallest} px, got {side} px")

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < self.smallest_image:
            raise ShapeError(
                f"shallow discriminator: expected images [B, 3, H, W] with sides of at least {self.smallest_image}, "
                f"got {list(image.shape)}"
            )
        x = image
        for block in self.blocks:
            x = block(x)
        return DiscriminatorOutput({"patch": self.final(x)})


def smallest_image(halvings: int, pad_last: bool) -> int:
    """The smallest side that leaves a logit: 5 pixels before two unpadded convolutions, 2 before padded ones.

    A halving turns a side n into ceil(n / 2).

    Example:
        >>> smallest_image(2, False), smallest_image(2, True)
        (17, 5)
    """
    return int(((2 if pad_last else 5) - 1) * 2**halvings + 1)
