"""The U-Net of PaintsChainer, its line network, and its discriminator. Names are those of official checkpoints.

Source: pfnet/PaintsChainer aa66794, unet.py and lnet.py.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.contracts import DiscriminatorOutput, GeneratorOutput
from i2i.errors import OptionError, ShapeError

EPS, MOMENTUM = 2e-5, 0.1
"""Chainer's batch norm: its decay is 0.9, the weight of the old statistics."""
CENTERS, SCALES = (127.5, 128.0, 128.0, 128.0), (127.5, 64.0, 64.0, 64.0)
"""What is subtracted from lines and hints, and what they are divided by, to bring them to a common range."""
GIVEN = 2.0
"""What is then added to lines where there is a hint."""


def initialize_chainer(module: nn.Module) -> None:
    """Initialize convolutions as Chainer does: weights from N(0, 1 / fan-in), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # Chainer takes the second axis of a kernel as fan-in, also of a transposed convolution.
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=fan_in**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class AlternatingUNet(nn.Module):
    """U-Net whose convolutions alternate between stride 2 and stride 1.

    Four times a 4x4 convolution of stride 2 and a 3x3 convolution, each with batch norm and ReLU; the decoder mirrors
    it with transposed convolutions, and sees the encoder's features of each size. The last convolution is linear.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: channels after the first convolution; doubled with each halving.
        center: is added to the output of the last convolution; 0 in the reference, whose weights have to grow until
            colours from 0 to 255 come out.
        scale: the output of the last convolution is multiplied by it; 1 in the reference.
        common_range: whether lines and hints are brought to a common range before the first convolution: lines to
            [-1, 1], plus 2 where there is a hint, and hints to [-2, 2], 0 where there is none. In the reference a blank
            hint is -512 and colours differ by some tens, so that few steps learn where hints are and not which colour
            they have.
    """

    multiple: ClassVar[int] = 16

    def __init__(
        self,
        in_channels: Positive = 4,
        out_channels: Positive = 3,
        channels: Positive = 32,
        center: float = 0.0,
        scale: float = 1.0,
        common_range: bool = False,
    ) -> None:
        super().__init__()
        if common_range and in_channels != len(CENTERS):
            raise OptionError("common_range", f"expected lines and hints, {len(CENTERS)} channels, got {in_channels}")
        self.in_channels, self.center, self.scale, self.common_range = in_channels, center, scale, common_range
        self.c0, self.bnc0 = nn.Conv2d(in_channels, channels, 3, padding=1), _norm(channels)
        width = channels
        for index in range(1, 9, 2):
            self.add_module(f"c{index}", nn.Conv2d(width, 2 * width, 4, 2, 1))
            self.add_module(f"c{index + 1}", nn.Conv2d(2 * width, 2 * width, 3, padding=1))
            for number in (index, index + 1):
                self.add_module(f"bnc{number}", _norm(2 * width))
            width *= 2
        for index in range(8, 0, -2):
            self.add_module(f"dc{index}", nn.ConvTranspose2d(2 * width, width, 4, 2, 1))
            self.add_module(f"dc{index - 1}", nn.Conv2d(width, width // 2, 3, padding=1))
            self.add_module(f"bnd{index}", _norm(width))
            self.add_module(f"bnd{index - 1}", _norm(width // 2))
            width //= 2
        self.dc0 = nn.Conv2d(2 * channels, out_channels, 3, padding=1)
        initialize_chainer(self)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the features after each of the nine convolutions, [B, C, h, w]."""
        if x.ndim != 4 or x.shape[1] != self.in_channels or any(side % self.multiple for side in x.shape[2:]):
            raise ShapeError(
                f"paints_unet: expected [B, {self.in_channels}, H, W] with sides divisible by {self.multiple}, "
                f"got {list(x.shape)}"
            )
        if self.common_range:
            given = (x[:, 1:2] >= 0).to(x)
            x = (x - x.new_tensor(CENTERS).view(1, -1, 1, 1)) / x.new_tensor(SCALES).view(1, -1, 1, 1)
            x = torch.cat([x[:, :1] + GIVEN * given, x[:, 1:] * given], 1)
        features = []
        for index in range(9):
            x = self._layer(x, f"c{index}", f"bnc{index}")
            features.append(x)
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Return the output of the features that `encode` gave."""
        x = features[8]
        for index in range(8, 0, -2):
            # The deepest connection is the layer before the last, the others the last layer of each size.
            skip = features[7] if index == 8 else features[index]
            x = self._layer(torch.cat([skip, x], 1), f"dc{index}", f"bnd{index}")
            x = self._layer(x, f"dc{index - 1}", f"bnd{index - 1}")
        output: Tensor = self.dc0(torch.cat([features[0], x], 1))
        return output if (self.scale, self.center) == (1, 0) else self.scale * output + self.center

    def run(self, x: Tensor) -> Tensor:
        """Return the output [B, C, H, W] for an input."""
        return self.decode(self.encode(x))

    def forward(self, image: Tensor) -> GeneratorOutput:
        return GeneratorOutput(self.run(image))

    def _layer(self, x: Tensor, convolution: str, norm: str) -> Tensor:
        return F.relu(self.get_submodule(norm)(self.get_submodule(convolution)(x)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


class LineNetwork(AlternatingUNet):
    """The line extractor LNET: colours (x - 128) / 128 to one channel of lines.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the lines.
        channels: channels after the first convolution.
    """

    def __init__(self, in_channels: Positive = 3, out_channels: Positive = 1, channels: Positive = 32) -> None:
        super().__init__(in_channels, out_channels, channels)


class PaintsDiscriminator(nn.Module):
    """Classify whole images as real (class 0) or generated (class 1).

    Convolutions that alternate between 4x4 of stride 2 and 3x3, each with batch norm and ReLU, then a linear layer.

    Args:
        channels: channels after the first convolution.
        in_channels: channels of the image.
        image_size: height and width in pixels, multiples of 16: the linear layer sees every place.
    """

    def __init__(self, channels: Positive = 32, in_channels: Positive = 3, image_size: ImageSize = 128) -> None:
        super().__init__()
        self.check(image_size)
        self.size = height_width(image_size)
        width, before = channels, in_channels
        for index in range(1, 8):
            strided = index % 2 == 1
            width = channels * 2 ** (index // 2) if strided else width
            kernel = (4, 2, 1) if strided else (3, 1, 1)
            self.add_module(f"c{index}", nn.Conv2d(before, width, *kernel))
            self.add_module(f"bnc{index}", _norm(width))
            before = width
        initialize_chainer(self)
        height, columns = (side // 16 for side in self.size)
        self.l8l = nn.Linear(width * height * columns, 2)
        nn.init.normal_(
            self.l8l.weight, std=(0.02 * (8 * 8 * 256) ** 0.5 / 2) ** 0.5 * (2 / self.l8l.in_features) ** 0.5
        )
        nn.init.zeros_(self.l8l.bias)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse sides that are not multiples of 16."""
        if any(side % 16 for side in height_width(image_size)):
            raise OptionError("image_size", f"expected multiples of 16, got {image_size}")

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        if tuple(image.shape[2:]) != self.size:
            raise ShapeError(f"paints_discriminator: expected images of {self.size}, got {tuple(image.shape[2:])}")
        x = image
        for index in range(1, 8):
            x = F.relu(self.get_submodule(f"bnc{index}")(self.get_submodule(f"c{index}")(x)))
        return DiscriminatorOutput({"class": self.l8l(x.flatten(1))})
