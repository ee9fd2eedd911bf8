"""D: one judgement for a whole image, of two or of three classes."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

import i2i
from i2i.core.bounds import ImageSize, Positive, square_side
from i2i.core.kinds import NORM
from i2i.errors import ShapeError
from i2i_dtn.sizes import check_size, halvings


class DTNDiscriminator(nn.Module):
    """Halves the image to 4 px by 3x3 convolutions, then a 4x4 convolution to the logits.

    At 32 px with the defaults: 128 channels with ReLU and then the norm, 256 and 512 with the norm and then ReLU.

    Args:
        channels: after the first convolution; doubled by each of the following ones.
        classes: 1 logit for the loss `dtn_binary` and any other GAN loss, or 3 for `dtn_ternary`.
        norm: after each convolution but the last one.

    Source: facts of yunjey/domain-transfer-network; three classes: Taigman et al., ICLR 2017, arXiv:1611.02200,
    equation 3.
    """

    def __init__(
        self,
        channels: Positive = 128,
        classes: Literal[1, 3] = 1,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__()
        self.image_size = square_side(image_size)
        widths = [channels * 2**depth for depth in range(halvings(image_size))]
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU(), norm(channels)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), norm(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], classes, 4))

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuses an image side that halvings do not bring to 4."""
        check_size(image_size)

    def forward(self, image: Tensor) -> i2i.DiscriminatorOutput:
        """Logits [B, classes, 1, 1] as the head `image`."""
        if image.shape[1:] != (3, self.image_size, self.image_size):
            size = self.image_size
            raise ShapeError(f"dtn discriminator: expected images [B, 3, {size}, {size}], got {list(image.shape)}")
        return i2i.DiscriminatorOutput({"image": self.layers(image)})
