"""MakeGirlsMoe's networks: a generator like SRResNet, and a residual discriminator that also tells attributes."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, square_side
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError

SLOPE = 0.2


class _Residual(nn.Module):
    """A chain of layers that is added to its input, followed by an activation."""

    def __init__(self, layers: list[nn.Module], activation: nn.Module) -> None:
        super().__init__()
        self.layers, self.activation = nn.Sequential(*layers), activation

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(x + self.layers(x))
        return y


class SRResNetGenerator(nn.Module):
    """A linear layer, residual blocks with a connection around all of them, and sub-pixel upsampling.

    Attributes are appended to the latent code.

    Args:
        out_channels: channels of the images.
        image_size: height and width of the images; equal, a multiple of 2 to the power of `upscales`.
        num_classes: number of attributes, or of classes; 0 without.
        z_dim: numbers in a latent code.
        channels: channels of all features.
        blocks: number of residual blocks.
        upscales: number of times that the sides are doubled.

    Source: Jin et al., arXiv:1708.05509, figure 4; SRResNet: Ledig et al., CVPR 2017, arXiv:1609.04802.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 128,
        num_classes: Annotated[int, Ge(0)] = 0,
        z_dim: Annotated[int, Ge(1)] = 128,
        channels: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(0)] = 16,
        upscales: Annotated[int, Ge(0)] = 3,
    ) -> None:
        super().__init__()
        self.z_dim, self.channels = z_dim, channels
        self.side, rest = divmod(square_side(image_size), 2**upscales)
        if rest:
            raise OptionError("image_size", f"expected a multiple of {2**upscales} px, got {square_side(image_size)}")
        self.first = nn.Linear(z_dim + num_classes, channels * self.side**2)
        self.start = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*(self._block() for _ in range(blocks)))
        self.end = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        up: list[nn.Module] = []
        for _ in range(upscales):
            up += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
            up += [nn.BatchNorm2d(channels), nn.ReLU()]
        self.up = nn.Sequential(*up, nn.Conv2d(channels, out_channels, 9, padding=4), nn.Tanh())

    def _block(self) -> nn.Module:
        width = self.channels
        layers = [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        return _Residual([*layers, nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)], nn.Identity())

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return images [B, C, S, S] for latent codes [B, z_dim] and attributes [B, num_classes]."""
        x = self.first(z if c is None else torch.cat([z, c], 1)).view(z.shape[0], -1, self.side, self.side)
        x = self.start(x)
        image: Tensor = self.up(x + self.end(self.blocks(x)))
        return image


class ResidualDiscriminator(nn.Module):
    """Convolutions that halve the sides, two residual blocks after each but the last, and heads without batch norm.

    Args:
        in_channels: channels of the images.
        image_size: height and width of the images; equal, a multiple of 2 to the power of `halvings`.
        num_classes: number of attributes that the head `classes` tells; 0 without it.
        channels: channels after the first halving; each further one doubles them.
        halvings: number of times that the sides are halved.

    Source: Jin et al., arXiv:1708.05509, figure 5.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: ImageSize = 128,
        num_classes: Annotated[int, Ge(0)] = 0,
        channels: Annotated[int, Ge(1)] = 32,
        halvings: Annotated[int, Ge(1)] = 6,
    ) -> None:
        super().__init__()
        side, rest = divmod(square_side(image_size), 2**halvings)
        if rest or not side:
            raise OptionError("image_size", f"expected a multiple of {2**halvings} px, got {square_side(image_size)}")
        body: list[nn.Module] = []
        for number in range(halvings):
            width = channels * 2**number
            body += [nn.Conv2d(in_channels if number == 0 else width // 2, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
            if number < halvings - 1:
                body += [self._block(width), self._block(width)]
        self.body = nn.Sequential(*body, nn.Flatten())
        features = channels * 2 ** (halvings - 1) * side**2
        self.score = nn.Linear(features, 1)
        self.classify = nn.Linear(features, num_classes) if num_classes else None

    @staticmethod
    def _block(width: int) -> nn.Module:
        convs: list[nn.Module] = [nn.Conv2d(width, width, 3, padding=1) for _ in range(2)]
        return _Residual([convs[0], nn.LeakyReLU(SLOPE), convs[1]], nn.LeakyReLU(SLOPE))

    def forward(self, image: Tensor, c: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`, and those of the attributes under `classes`."""
        x = self.body(image)
        heads = {"image": self.score(x)}
        return DiscriminatorOutput(heads if self.classify is None else heads | {"classes": self.classify(x)})
