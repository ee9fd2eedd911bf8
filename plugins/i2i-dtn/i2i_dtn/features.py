"""f: a classifier of the source domain's labels, whose last features are what a translation must keep."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import i2i
from i2i.core.bounds import ImageSize, Positive, square_side
from i2i.core.kinds import NORM
from i2i.errors import ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i_dtn.sizes import check_size, halvings

RELU = i2i.ACTIVATION("relu")


class LabelEncoder(nn.Module):
    """Halves the image to 4 px by 3x3 convolutions, then a 4x4 convolution to the code and a 1x1 one to the labels.

    At 32 px with the defaults: 64, 128 and 256 channels, each with batch norm and ReLU, then 128 numbers with batch
    norm and tanh, which are f(x), and 10 logits.

    Args:
        channels: after the first convolution; doubled by each of the following ones, up to four times as many.
        features: numbers of the code.
        classes: different labels.
        norm: after each convolution but that to the labels.

    Source: facts of yunjey/domain-transfer-network, the feature function of Taigman et al., ICLR 2017,
    arXiv:1611.02200; convolutions of stride 2 instead of the paper's pooling.
    """

    def __init__(
        self,
        channels: Positive = 64,
        features: Positive = 128,
        classes: Positive = 10,
        norm: i2i.Factory[i2i.Norm] = NORM("bn"),
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__()
        self.num_features, self.image_size = features, square_side(image_size)
        widths = [3, *(channels * 2 ** min(depth, 2) for depth in range(halvings(image_size)))]
        self.blocks = nn.Sequential(
            *(
                ConvBlock(before, after, 3, 2, 1, "zeros", bias=False, norm=norm, activation=RELU)
                for before, after in pairwise(widths)
            ),
            ConvBlock(widths[-1], features, 4, bias=False, norm=norm, activation=i2i.ACTIVATION("torch.nn.Tanh")),
        )
        self.classifier = nn.Conv2d(features, classes, 1)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuses an image side that halvings do not bring to 4."""
        check_size(image_size)

    def encode(self, image: Tensor) -> i2i.AttentionOutput:
        """f(x), [B, features, 1, 1] in [-1, 1]."""
        if image.shape[1:] != (3, self.image_size, self.image_size):
            size = self.image_size
            raise ShapeError(f"label encoder: expected images [B, 3, {size}, {size}], got {list(image.shape)}")
        if self.training and len(image) == 1:
            raise ShapeError("label encoder: expected at least 2 images to learn from, got 1; raise train.batch_size")
        return i2i.AttentionOutput(self.blocks(image))

    def forward(self, image: Tensor) -> i2i.DiscriminatorOutput:
        """The labels' logits [B, classes] as the head `label`, and f(x) as the code."""
        code = self.encode(image).features
        return i2i.DiscriminatorOutput({"label": self.classifier(code).flatten(1)}, code=code)


class GivenFeatures(nn.Module):
    """Any feature extractor as f: the means over the pixels of one tap's features.

    Args:
        extractor: built for one tap.
    """

    frozen: ClassVar[bool] = True

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor = extractor.eval().requires_grad_(False)
        self.num_features: int = extractor.num_features[0]

    def encode(self, image: Tensor) -> i2i.AttentionOutput:
        """f(x), [B, C, 1, 1]."""
        (features,) = self.extractor(image)
        return i2i.AttentionOutput(torch.mean(features, (2, 3), keepdim=True))

    def train(self, mode: bool = True) -> GivenFeatures:
        """Stays in evaluation mode, whatever is asked."""
        return super().train(False)
