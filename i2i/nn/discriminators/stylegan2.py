"""StyleGAN2's discriminator: one logit for a whole image of one size."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive, describe_size, height_width
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.stylegan2 import EqualizedLinear, MinibatchDeviation, ScaledLeakyReLU, StyleConv, StyleResidual

SMALLEST = 8
LAST = 4
"""Shorter side of the last feature map."""


class StyleGAN2(nn.Module):
    """Residual blocks that halve the image down to 4 px, minibatch deviation, a convolution and two linear layers.

    Args:
        channels: channels at the image's size; doubled by each halving.
        max_channels: upper bound of the channels.
        group: number of images over which the minibatch deviation is computed; 0 omits it.
        in_channels: channels of the images.
        image_size: side of the images in pixels, a power of 2 from 8 on; or height and width, of which the shorter one
            is such a power and the longer one divides by as many halvings.

    Source: Karras et al., CVPR 2020, arXiv:1912.04958, section 4.1; rosinality/stylegan2-pytorch.
    """

    def __init__(
        self,
        channels: Positive = 64,
        max_channels: Positive = 512,
        group: Count = 4,
        in_channels: Positive = 3,
        image_size: ImageSize = 64,
    ) -> None:
        super().__init__()
        self.image_size = height_width(image_size)
        self.in_channels = in_channels
        halvings = _halvings(image_size)
        widths = [min(channels * 2**depth, max_channels) for depth in range(halvings + 1)]
        self.from_image = StyleConv(in_channels, widths[0], 1)
        self.blocks = nn.Sequential(*(StyleResidual(before, after, down=True) for before, after in pairwise(widths)))
        self.deviation = MinibatchDeviation(group) if group else None
        self.conv = StyleConv(widths[-1] + (group > 0), widths[-1])
        self.linear = EqualizedLinear(widths[-1] * math.prod(self.image_size) // 4**halvings, widths[-1])
        self.activation = ScaledLeakyReLU()
        self.final = EqualizedLinear(widths[-1], 1)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse an image size that cannot be halved down to 4 px."""
        side, longer = sorted(height_width(image_size))
        if side < SMALLEST or side & (side - 1):
            below = max(SMALLEST, 1 << (max(side, 1).bit_length() - 1))
            raise OptionError("image_size", f"expected a power of 2, at least {SMALLEST}, got {side}; try {below}")
        if longer % 2 ** _halvings(image_size):
            message = f"expected a longer side that is a multiple of {2 ** _halvings(image_size)}"
            raise OptionError("image_size", f"{message}, got {describe_size(image_size)}")

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Return one logit for each image, [B, 1, 1, 1], as the head `patch`."""
        if image.shape[1:] != (self.in_channels, *self.image_size):
            height, width = self.image_size
            raise ShapeError(
                f"stylegan2: expected images [B, {self.in_channels}, {height}, {width}], got {list(image.shape)}"
            )
        x = self.blocks(self.from_image(image))
        x = self.conv(x if self.deviation is None else self.deviation(x))
        x = self.final(self.activation(self.linear(x.flatten(1))))
        return DiscriminatorOutput({"patch": x[:, :, None, None]})


def _halvings(image_size: ImageSize) -> int:
    """The number of halvings after which the shorter side has 4 px."""
    return (min(height_width(image_size)) // LAST).bit_length() - 1
