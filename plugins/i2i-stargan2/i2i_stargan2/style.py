"""Where styles come from: latent codes, or reference images."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from i2i.core.bounds import Depth, ImageSize, Positive
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_stargan2.blocks import Trunk, check_size, first_channels, select


class DomainMLP(nn.Module):
    """Mapping network: linear layers with ReLU that the domains share, then some for each domain.

    Args:
        latent_channels: length of a latent code from N(0, I).
        hidden: width of all hidden layers.
        shared_layers: number of layers that the domains share.
        layers: number of layers of each domain; the last one has no activation.
        init: initialization of the weights.
        num_classes: number of domains.
        style_channels: length S of a style code.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865, appendix; clovaai/stargan-v2 875b70a.
    """

    def __init__(
        self,
        latent_channels: Positive = 16,
        hidden: Positive = 512,
        shared_layers: Depth = 4,
        layers: Depth = 4,
        init: Initialization = "kaiming",
        num_classes: int = 2,
        style_channels: int = 64,
    ) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        widths = [latent_channels, *[hidden] * shared_layers]
        self.shared = nn.Sequential()
        for before, after in pairwise(widths):
            self.shared.extend([nn.Linear(before, after), nn.ReLU()])
        self.domains = nn.ModuleList()
        for _ in range(num_classes):
            own = nn.Sequential()
            for _ in range(layers - 1):
                own.extend([nn.Linear(hidden, hidden), nn.ReLU()])
            own.append(nn.Linear(hidden, style_channels))
            self.domains.append(own)
        initialize(self, init)

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return style codes [B, S] of latent codes [B, L], for the domains with the numbers [B]."""
        x = self.shared(latent)
        return select(torch.stack([layers(x) for layers in self.domains], dim=1), domain)


class DomainStyleEncoder(nn.Module):
    """Encodes the style of an image by residual blocks that the domains share and a linear layer for each domain.

    Args:
        width: channels at the size of the images, times that size; 2^14 are 64 channels at 256 px.
        max_channels: upper bound of the channels.
        init: initialization of the weights.
        num_classes: number of domains.
        style_channels: length S of a style code.
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
        style_channels: int = 64,
        image_size: ImageSize = 256,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.image_size = check_size(image_size)
        self.trunk = Trunk(self.image_size, in_channels, width, max_channels)
        self.heads = nn.ModuleList(nn.Linear(self.trunk.num_features, style_channels) for _ in range(num_classes))
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, width: int) -> None:
        """Refuse a size that is no power of two, and a width below it."""
        first_channels(width, check_size(image_size), width)

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        """Return style codes [B, S] of images [B, C, H, W] of the domains with the numbers [B]."""
        features = self.trunk(image).flatten(1)
        return select(torch.stack([head(features) for head in self.heads], dim=1), domain)
