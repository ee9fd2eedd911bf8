"""g: paints an image from f's code by transposed convolutions."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

import i2i
from i2i.core.bounds import ImageSize, Positive, height_width, square_side
from i2i.core.kinds import NORM
from i2i.errors import ShapeError
from i2i_dtn.sizes import check_size, halvings


class DTNDecoder(nn.Module):
    """A 4x4 transposed convolution from the code to 4 px, then transposed convolutions of stride 2 to the image.

    At 32 px with the defaults: 512, 256 and 128 channels, each with a norm and ReLU, then the image with tanh.

    Args:
        num_features: numbers of the code.
        channels: at 4 px; halved by each doubling of the sides but the last one.
        norm: after each convolution but the last one.
        kernel_size: of the convolutions of stride 2; 4 leaves less of a checkerboard than 3.

    Source: facts of yunjey/domain-transfer-network, which do not tell the kernel of stride 2; arXiv:1611.02200,
    section 5.1. The image has three channels here, for i2i has no other images.
    """

    def __init__(
        self,
        num_features: int,
        channels: Positive = 512,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        kernel_size: Positive = 3,
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__()
        self.num_features, self.fixed_size = num_features, height_width(image_size)
        self.multiple = square_side(image_size)
        widths = [max(1, channels >> depth) for depth in range(halvings(image_size))]
        # One pixel more on one side for an odd kernel: sides are doubled exactly.
        inner = {"stride": 2, "padding": (kernel_size - 1) // 2, "output_padding": kernel_size % 2}
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(num_features, channels, 4, bias=False),
            norm(channels),
            nn.ReLU(),
        ]
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, kernel_size, bias=False, **inner), norm(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], 3, kernel_size, **inner), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    @classmethod
    def check(cls, image_size: ImageSize, kernel_size: int) -> None:
        """Refuses sides that are no power of 2, and kernels that leave gaps."""
        check_size(image_size)
        if kernel_size not in (3, 4):
            raise i2i.OptionError("kernel_size", f"expected 3 or 4, got {kernel_size}")

    def forward(self, features: Tensor) -> i2i.GeneratorOutput:
        """The image [B, 3, size, size] in [-1, 1] of a code [B, num_features, 1, 1]."""
        if features.shape[1:] != (self.num_features, 1, 1):
            raise ShapeError(f"dtn decoder: expected a code [B, {self.num_features}, 1, 1], got {list(features.shape)}")
        return i2i.GeneratorOutput(self.layers(features))
