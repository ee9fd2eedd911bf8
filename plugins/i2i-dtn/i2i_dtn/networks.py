"""The networks of DTN: the encoder `label_encoder` (f), the decoder `dtn_decoder` (g), `dtn_discriminator` (D)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

import i2i
from i2i.core.bounds import ImageSize, Positive, height_width, square_side
from i2i.core.kinds import NORM
from i2i.errors import ShapeError
from i2i.nn.layers.convolution import ConvBlock

SMALLEST = 16
"""Smallest side of an image in pixels."""


def check_size(size: ImageSize) -> None:
    """Refuse sides other than 16, 32, 64 and so on."""
    image_size = square_side(size)
    if image_size < SMALLEST or image_size & (image_size - 1):
        nearest = max(SMALLEST, 1 << (max(image_size, 1).bit_length() - 1))
        raise i2i.OptionError(
            "image_size", f"expected a power of 2, at least {SMALLEST}, got {image_size}; try {nearest}"
        )


def halvings(image_size: ImageSize) -> int:
    """Return how often a side must be halved to be 4.

    Example:
        >>> halvings(32)
        3
    """
    return square_side(image_size).bit_length() - 3


class LabelEncoder(nn.Module):
    """f: a classifier whose last features are the code that a translation preserves.

    3x3 convolutions of stride 2 to 4 px, then a 4x4 convolution to the code and a 1x1 one to the logits. At 32 px with
    the defaults: 64, 128 and 256 channels, each with batch norm and ReLU, then a code of 128 with batch norm and tanh,
    and 10 logits.

    Args:
        channels: channels after the first convolution; doubled by each of the following ones, up to four times.
        features: size of the code.
        classes: number of labels.
        norm: norm after each convolution but the last.
        image_size: side of the images in pixels.
        in_channels: channels of the images.

    Source: settings of yunjey/domain-transfer-network, the feature function of Taigman et al., ICLR 2017,
    arXiv:1611.02200; convolutions of stride 2 instead of the paper's pooling.
    """

    def __init__(
        self,
        channels: Positive = 64,
        features: Positive = 128,
        classes: Positive = 10,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        image_size: ImageSize = 32,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.num_features, self.image_size, self.in_channels = features, square_side(image_size), in_channels
        widths = [in_channels, *(channels * 2 ** min(depth, 2) for depth in range(halvings(image_size)))]
        self.blocks = nn.Sequential(
            *(
                ConvBlock(*pair, 3, 2, 1, "zeros", bias=False, norm=norm, activation=i2i.ACTIVATION("relu"))
                for pair in pairwise(widths)
            ),
            ConvBlock(widths[-1], features, 4, bias=False, norm=norm, activation=i2i.ACTIVATION("torch.nn.Tanh")),
        )
        self.classifier = nn.Conv2d(features, classes, 1)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse image sides that are no power of 2."""
        check_size(image_size)

    def encode(self, image: Tensor) -> i2i.AttentionOutput:
        """Return f(x), [B, features, 1, 1] in [-1, 1], of images [B, C, size, size]."""
        if image.shape[1:] != (self.in_channels, self.image_size, self.image_size):
            sides = f"{self.in_channels}, {self.image_size}, {self.image_size}"
            raise ShapeError(f"label encoder: expected images [B, {sides}], got {list(image.shape)}")
        if self.training and len(image) == 1:
            raise ShapeError("label encoder: expected at least 2 images in training, got 1; raise train.batch_size")
        return i2i.AttentionOutput(self.blocks(image))

    def forward(self, image: Tensor) -> i2i.DiscriminatorOutput:
        """Return the logits of the labels [B, classes] as the head `label`, and f(x) as the code."""
        code = self.encode(image).features
        return i2i.DiscriminatorOutput({"label": self.classifier(code).flatten(1)}, code=code)


class GivenFeatures(nn.Module):
    """f as a feature extractor: the features of one tap, averaged over the pixels.

    Args:
        extractor: a feature extractor with one tap, which is frozen here.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor = extractor.eval().requires_grad_(False)
        self.num_features: int = extractor.num_features[0]

    def encode(self, image: Tensor) -> i2i.AttentionOutput:
        """Return f(x), [B, C, 1, 1], of images [B, 3, H, W]."""
        (features,) = self.extractor(image)
        return i2i.AttentionOutput(torch.mean(features, (2, 3), keepdim=True))

    def train(self, mode: bool = True) -> GivenFeatures:
        """Stay in evaluation mode."""
        return super().train(False)


class DTNDecoder(nn.Module):
    """g: a 4x4 transposed convolution from the code to 4 px, then transposed convolutions of stride 2 to the image.

    At 32 px with the defaults: 512, 256 and 128 channels, each with a norm and ReLU, then the image with tanh.

    Args:
        num_features: size of the code.
        channels: channels at 4 px; halved by each convolution of stride 2 but the last.
        norm: norm after each convolution but the last.
        kernel_size: kernel of the convolutions of stride 2, 3 or 4; 4 gives weaker checkerboard artefacts.
        image_size: side of the images in pixels.
        out_channels: channels of the generated images.

    Source: settings of yunjey/domain-transfer-network, without the kernel size of stride 2; arXiv:1611.02200,
    section 5.1.
    """

    def __init__(
        self,
        num_features: int,
        channels: Positive = 512,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        kernel_size: Positive = 3,
        image_size: ImageSize = 32,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.num_features, self.fixed_size = num_features, height_width(image_size)
        self.multiple = square_side(image_size)
        widths = [max(1, channels >> depth) for depth in range(halvings(image_size))]
        # An odd kernel needs a further pixel on one side, so that sides are doubled exactly.
        doubling = {"stride": 2, "padding": (kernel_size - 1) // 2, "output_padding": kernel_size % 2}
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(num_features, channels, 4, bias=False),
            norm(channels),
            nn.ReLU(),
        ]
        for width, narrower in pairwise(widths):
            convolution = nn.ConvTranspose2d(width, narrower, kernel_size, bias=False, **doubling)
            layers += [convolution, norm(narrower), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], out_channels, kernel_size, **doubling), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    @classmethod
    def check(cls, image_size: ImageSize, kernel_size: int) -> None:
        """Refuse image sides that are no power of 2, and kernel sizes other than 3 and 4."""
        check_size(image_size)
        if kernel_size not in (3, 4):
            raise i2i.OptionError("kernel_size", f"expected 3 or 4, got {kernel_size}")

    def forward(self, features: Tensor) -> i2i.GeneratorOutput:
        """Return images [B, C, size, size] in [-1, 1] of codes [B, num_features, 1, 1]."""
        if features.shape[1:] != (self.num_features, 1, 1):
            raise ShapeError(f"dtn decoder: expected a code [B, {self.num_features}, 1, 1], got {list(features.shape)}")
        return i2i.GeneratorOutput(self.layers(features))


class DTNDiscriminator(nn.Module):
    """D: 3x3 convolutions of stride 2 to 4 px, then a 4x4 convolution to the logits of the whole image.

    At 32 px with the defaults: 128 channels with ReLU and then the norm, 256 and 512 with the norm and then ReLU.

    Args:
        channels: channels after the first convolution; doubled by each of the following ones.
        classes: number of logits, 1 for the loss `dtn_binary` and other GAN losses, or 3 for `dtn_ternary`.
        norm: norm after each convolution but the last.
        image_size: side of the images in pixels.
        in_channels: channels of the images.

    Source: settings of yunjey/domain-transfer-network; three classes: Taigman et al., ICLR 2017, arXiv:1611.02200,
    equation 3.
    """

    def __init__(
        self,
        channels: Positive = 128,
        classes: Literal[1, 3] = 1,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        image_size: ImageSize = 32,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.image_size, self.in_channels = square_side(image_size), in_channels
        widths = [channels * 2**depth for depth in range(halvings(image_size))]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, 2, 1), nn.ReLU(), norm(channels)]
        for width, wider in pairwise(widths):
            layers += [nn.Conv2d(width, wider, 3, 2, 1, bias=False), norm(wider), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], classes, 4))

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse image sides that are no power of 2."""
        check_size(image_size)

    def forward(self, image: Tensor) -> i2i.DiscriminatorOutput:
        """Return logits [B, classes, 1, 1] of images [B, C, size, size] as the head `image`."""
        if image.shape[1:] != (self.in_channels, self.image_size, self.image_size):
            sides = f"{self.in_channels}, {self.image_size}, {self.image_size}"
            raise ShapeError(f"dtn discriminator: expected images [B, {sides}], got {list(image.shape)}")
        return i2i.DiscriminatorOutput({"image": self.layers(image)})
