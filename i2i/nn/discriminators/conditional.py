"""Discriminators that are conditioned on classes or label maps: by concatenation, and by projection."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize
from i2i.core.contracts import Discriminator, DiscriminatorOutput
from i2i.core.factory import Factory
from i2i.errors import ShapeError
from i2i.nn.discriminators.patch import Patch
from i2i.nn.functional.conditioning import condition_planes
from i2i.nn.layers.initialization import initialize


class LabelConcat(nn.Module):
    """Any discriminator, conditioned by concatenation: each class is a further channel of its input.

    Args:
        discriminator: factory of the discriminator, built for `num_classes` channels more.
        num_classes: number N of classes.
        in_channels: channels of the image.
        image_size: height and width of the training images, if the discriminator needs them.

    Source: Mirza and Osindero, conditional GAN, 2014, arXiv:1411.1784, with a class repeated over the image.
    """

    def __init__(
        self,
        discriminator: Factory[Discriminator],
        num_classes: int = 2,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__()
        size: dict[str, Any] = {} if image_size is None else {"image_size": image_size}
        self.discriminator: Any = discriminator(in_channels=in_channels + num_classes, **size)

    def forward(self, image: Tensor, condition: Tensor) -> DiscriminatorOutput:
        """Discriminate images [B, C, H, W], given one-hot classes [B, N] or a one-hot label map [B, N, H, W]."""
        planes = condition_planes(condition, (image.shape[-2], image.shape[-1]))
        return cast(DiscriminatorOutput, self.discriminator(torch.cat([image, planes.to(image.dtype)], dim=1)))


class ProjectionPatch(Patch):
    r"""Patch discriminator, conditioned by projection: the logit of features :math:`\phi` has a term for the class y.

    .. math:: D(x, y) = \psi(\phi(x)) + \langle V y, \phi(x) \rangle

    The inner product is computed at each place of the features, with the class there where the condition is a label
    map, and averaged over neighbours (2x2) to the size of the logits.

    Args:
        num_classes: number N of classes.
        options: those of `patch`.

    Source: Miyato and Koyama, ICLR 2018, arXiv:1802.05637, equation 3.
    """

    def __init__(self, num_classes: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.embedding = nn.Conv2d(num_classes, self.final.in_channels, 1, bias=False)
        initialize(self.embedding, options.get("init", "normal"))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        """Discriminate images [B, C, H, W], given one-hot classes [B, N] or a one-hot label map [B, N, H, W].

        Raises:
            ShapeError: there is no condition.
        """
        if condition is None:
            raise ShapeError(
                "projection_patch: expected a class or a label map next to the image; set translator.conditional = "
                "'projection', or choose a translator with classes"
            )
        self.check_image(image)
        x = image
        for block in self.blocks:
            x = block(x)
        planes = condition_planes(condition, (x.shape[-2], x.shape[-1])).to(x.dtype)
        projection = F.avg_pool2d((self.embedding(planes) * x).sum(1, keepdim=True), 2, stride=1)
        return DiscriminatorOutput({"patch": self.final(x) + projection})
