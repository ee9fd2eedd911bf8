"""A generator that is given classes or label maps as further channels of its input."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from i2i.core.bounds import ImageSize
from i2i.core.contracts import Generator, GeneratorOutput
from i2i.core.factory import Factory
from i2i.nn.functional.conditioning import condition_planes


class LabelConcat(nn.Module):
    """Any generator, conditioned by concatenation: each class is a further channel of its input.

    Args:
        generator: factory of the generator, built for `num_classes` channels more.
        num_classes: number N of classes.
        in_channels: channels of the image.
        out_channels: channels of the generated image.
        image_size: height and width of the training images, if the generator needs them.

    Source: Mirza and Osindero, conditional GAN, 2014, arXiv:1411.1784, with a class repeated over the image.
    """

    def __init__(
        self,
        generator: Factory[Generator],
        num_classes: int = 2,
        in_channels: int = 3,
        out_channels: int = 3,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__()
        size: dict[str, Any] = {} if image_size is None else {"image_size": image_size}
        self.generator: Any = generator(in_channels=in_channels + num_classes, out_channels=out_channels, **size)
        self.multiple = getattr(self.generator, "multiple", 1)
        self.fixed_size = getattr(self.generator, "fixed_size", None)

    def forward(self, image: Tensor, condition: Tensor) -> GeneratorOutput:
        """Generate images.

        Args:
            image: [B, C, H, W].
            condition: one-hot classes [B, N], or a one-hot label map [B, N, H, W].
        """
        planes = condition_planes(condition, (image.shape[-2], image.shape[-1]))
        return cast(GeneratorOutput, self.generator(torch.cat([image, planes.to(image.dtype)], dim=1)))
