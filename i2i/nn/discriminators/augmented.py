"""A discriminator whose images are augmented, real and generated ones alike."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from i2i.core.augmentations import DiscriminatorAugmentation
from i2i.core.bounds import ImageSize, Positive
from i2i.core.contracts import Discriminator, DiscriminatorOutput
from i2i.core.factory import Factory
from i2i.core.kinds import DISCRIMINATOR, DISCRIMINATOR_AUGMENTATION
from i2i.core.randomness import seed_of


class Augmented(nn.Module):
    """Put an augmentation in front of any discriminator.

    Every image that the discriminator sees is augmented, in the phases of the discriminators and of the generators,
    and gradients pass through the augmentation to the generators. Translations themselves are not augmented, so that
    strong augmentations do not show in them. A penalty on gradients, such as R1, is that of the image before the
    augmentation. In evaluation mode nothing is augmented.

    Each forward pass draws again. The draws follow from the batch's seed, the phase, the discriminator's name and the
    number of its forward pass in the phase, so that a resumed run repeats them.

    Args:
        discriminator: factory of the discriminator. One that encodes for a generator, as NICE-GAN's, cannot be wrapped.
        augmentation: factory of the augmentation.
        in_channels: channels of the images.
        image_size: side of the images, or their height and width, in pixels; for discriminators that need it.
        num_classes: number of classes; for discriminators that need it.
    """

    draws_random_numbers: ClassVar[bool] = True

    def __init__(
        self,
        discriminator: Factory[Discriminator] = DISCRIMINATOR("patch"),
        augmentation: Factory[DiscriminatorAugmentation] = DISCRIMINATOR_AUGMENTATION("diffaugment"),
        in_channels: Positive = 3,
        image_size: ImageSize | None = None,
        num_classes: Positive | None = None,
    ) -> None:
        super().__init__()
        given: dict[str, Any] = {"image_size": image_size, "num_classes": num_classes}
        known = {name: value for name, value in given.items() if value is not None}
        self.discriminator = cast(nn.Module, discriminator(in_channels=in_channels, **known))
        self.augmentation = cast(nn.Module, augmentation())
        self._seed, self._passes = 0, 0

    def reseed_(self, seed: int) -> None:
        """Set the seed of the following forward passes; `Translator.start_phase` calls this."""
        self._seed, self._passes = seed, 0

    def observe_real_(self, logits: dict[str, Tensor]) -> None:
        """Pass the logits of real images on to an augmentation that adapts to them, such as ADA.

        Args:
            logits: by head, with the batch as first axis.
        """
        observe_: Any = getattr(self.augmentation, "observe_", None)
        if observe_ is not None and self.training:
            observe_(*logits.values())

    def forward(self, image: Tensor, *condition: Tensor) -> DiscriminatorOutput:
        seen = self._augmented(image) if self.training else image
        return cast(DiscriminatorOutput, self.discriminator(seen, *condition))

    # The number of the pass would be compiled as a constant, and the network once for each pass.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _augmented(self, image: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(seed_of(self._seed, "augmentation", self._passes))
        self._passes += 1
        return cast(Tensor, self.augmentation(image, draws))
