"""The discriminator of StarGAN v2."""

from __future__ import annotations

from torch import Tensor, nn

from i2i import DiscriminatorOutput
from i2i.core.bounds import ImageSize, Positive
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_stargan2.blocks import Trunk, check_size, first_channels


class DomainResnet(nn.Module):
    """Discriminates whole images with one logit for each domain, by residual blocks without norms.

    Args:
        width: channels at the size of the images, times that size; 2^14 are 64 channels at 256 px.
        max_channels: upper bound of the channels.
        init: initialization of the weights.
        num_classes: number N of domains.
        image_size: side of the images, a power of two.
        in_channels: channels of the images.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865, appendix; clovaai/stargan-v2 875b70a.
    """

    def __init__(
        self,
        width: Positive = 2**14,
        max_channels: Positive = 512,
        init: Initialization = "kaiming",
        num_classes: int = 2,
        image_size: ImageSize = 256,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(check_size(image_size), in_channels, width, max_channels)
        self.head = nn.Conv2d(self.trunk.num_features, num_classes, 1)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, width: int) -> None:
        """Refuse a size that is no power of two, and a width below it."""
        first_channels(width, check_size(image_size), width)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Return the logits [B, N] of images [B, C, H, W], by the head `domains`."""
        return DiscriminatorOutput({"domains": self.head(self.trunk(image)).flatten(1)})
