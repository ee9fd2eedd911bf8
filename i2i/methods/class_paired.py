"""Paired translation that is conditioned on a class: pix2pix with a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import DiscriminatorOutput, GeneratorOutput
from i2i.errors import I2IError
from i2i.methods.outputs import Outputs
from i2i.methods.paired import Paired, PairedOutputs

SHOWN = 6
"""Classes in a sample grid at most."""


class ClassPairedOutputs(PairedOutputs):
    """Outputs of `paired`, where generator and discriminators are given the class of each sample."""

    translator: ClassPaired

    @property
    def condition(self) -> dict[str, Tensor]:
        """One-hot classes [B, N] of the samples."""
        return {self.translator.target: self._condition}

    @property
    def _condition(self) -> Tensor:
        return self.translator.one_hot(self.batch.streams["label"], self.real[self.translator.source])

    def _generate(self, image: Tensor) -> GeneratorOutput:
        return self.translator.generate(image, self._condition)

    def _call(self, discriminator: Any, image: Tensor) -> DiscriminatorOutput:
        return cast(DiscriminatorOutput, discriminator(image, self._condition))


class ClassPaired(Paired):
    """Translator from one domain to the other, trained on pairs of images with a class, which is also given at use.

    The generator is called with images and one-hot classes, such as `label_concat`, and so are the discriminators, such
    as `projection_patch` and `label_concat`. The classes are those of the data's stream `label`.

    Source: Isola et al., CVPR 2017, arXiv:1611.07004; Mirza and Osindero, 2014, arXiv:1411.1784.
    """

    Outputs: ClassVar[type[Outputs]] = ClassPairedOutputs
    required_streams: Mapping[str, str] = {"a": "image", "b": "image", "label": "label"}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, or their numbers where they have no names."""
        stream = self.streams["label"]
        return stream.names or tuple(map(str, range(stream.channels)))

    @property
    def requires_condition(self) -> bool:
        return True

    def one_hot(self, label: Tensor, like: Tensor) -> Tensor:
        """Return class numbers [B] as one-hot classes [B, N]."""
        return F.one_hot(label, len(self.classes)).to(like.device, like.dtype)

    def generate(self, image: Tensor, condition: Tensor | None = None) -> GeneratorOutput:
        """Return the output of the generator for images [B, C, H, W] and one-hot classes [B, N]."""
        return cast(GeneratorOutput, self.generator(image, condition))

    def translate(self, image: Tensor, to: str, label: int | str | Tensor | None = None) -> GeneratorOutput:
        """Translate images [B, C, H, W].

        Args:
            image: images of the source domain.
            to: the target domain.
            label: name or number of the class; or numbers [1] or [B], as an exported file takes them, not checked.

        Raises:
            I2IError: no such domain or class.
        """
        if to != self.target:
            raise I2IError(
                f"this translator generates domain {self.target} only, got {to!r}; train it with the other source"
            )
        if isinstance(label, Tensor):
            return self.generate(image, self.one_hot(label.expand(image.shape[0]), image))
        names = [*self.classes, *range(len(self.classes))]
        if label not in names:
            raise I2IError(f"label: expected a class, one of {', '.join(self.classes)}, got {label!r}")
        number = torch.full((len(image),), names.index(label) % len(self.classes), device=image.device)
        return self.generate(image, self.one_hot(number, image))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, a translation for each of the first classes, and truth."""
        image = images[self.source]
        rows = {"input": image}
        rows |= {name: self.translate(image, self.target, name).image for name in self.classes[:SHOWN]}
        rows["truth"] = images[self.target]
        return {caption: {self.source: row} for caption, row in rows.items()}
