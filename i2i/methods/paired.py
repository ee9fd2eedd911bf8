"""Paired translation with discriminators that are conditioned on the input: pix2pix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Discriminator, DiscriminatorOutput, Generator, GeneratorOutput, Phase, Stream
from i2i.core.factory import Factory
from i2i.data.label_maps import colorize
from i2i.errors import I2IError, OptionError
from i2i.methods.cyclic import PhaseName, other
from i2i.methods.networks import image_constraints, network
from i2i.methods.outputs import Outputs, TranslationOutputs, output
from i2i.methods.translator import Translator
from i2i.methods.two_domains import check_discriminators
from i2i.nn.functional.heatmap import draw_heatmap


class PairedOutputs(TranslationOutputs):
    """Outputs by domain; all but `real` have only the domain that is generated."""

    translator: Paired

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """Output of the generator for the input."""
        return {self.translator.target: self._generate(self.real[self.translator.source])}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """Output of the generator for the target image, which it should leave unchanged; pix2pix has no such loss."""
        return {self.translator.target: self._generate(self.real[self.translator.target])}

    def _generate(self, image: Tensor) -> GeneratorOutput:
        return self.translator.generate(image)

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image of the generated domain, conditioned on the batch's input."""
        target = self.translator.target
        return {target: lambda image: self._discriminate({target: image})}

    @output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of the inputs with their target images, by `domain/discriminator/head`."""
        if self.trains("discriminators"):
            # Each forward pass updates spectral norm and the running statistics of batch norm. The official
            # implementation computes the logits of the fake first.
            _ = self.fake_logits
            return self.observed(self._discriminate({self.translator.target: self.real[self.translator.target]}))
        return self._discriminate({self.translator.target: self.real[self.translator.target]})

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of the inputs with their translations: detached where discriminators train."""
        return self._discriminate(self.fake_for_discriminator if self.trains("discriminators") else self.fake)

    def _discriminate(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.translator.conditional is not True:
            return super()._discriminate(images)
        condition = self.real[self.translator.source]
        return super()._discriminate({domain: torch.cat([condition, image], dim=1) for domain, image in images.items()})

    def _call(self, discriminator: Any, image: Tensor) -> DiscriminatorOutput:
        if self.translator.conditional == "projection":
            return cast(DiscriminatorOutput, discriminator(image, self.real[self.translator.source]))
        return super()._call(discriminator, image)


class Paired(Translator):
    """Translator from one domain to the other with one generator and discriminators, trained on pairs of images.

    Args:
        generator: factory of the generator, which translates images of `source` to the other domain.
        discriminators: factories of the discriminators of the other domain, by name.
        source: domain of the input; the other one is generated.
        conditional: whether the input of discriminators is concatenated with that of the generator along the channels:
            "L1 + cGAN" in the paper; without it "L1 + GAN". `projection` gives the input, a label map, to
            discriminators such as `projection_patch` as a condition.
        order: order of the phases in a step; each phase occurs once.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Source: Isola et al., CVPR 2017, arXiv:1611.07004.
    """

    Outputs: ClassVar[type[Outputs]] = PairedOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)

    requires_pairs: ClassVar[bool] = True

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        source: Literal["a", "b"] = "a",
        conditional: bool | Literal["projection"] = True,
        order: tuple[PhaseName, ...] = ("discriminator", "generator"),
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.check(order, discriminators)
        self.phases = {phase: type(self).phases[phase] for phase in order}
        self.source, self.target = source, other(source)
        self.conditional: bool | Literal["projection"] = conditional
        self.generator = network(generator(**self.network_options(self.source, self.target)))
        options = self.network_options(self.target)
        if conditional == "projection":
            options["num_classes"] = self.streams[self.source].channels
        elif conditional:
            options["in_channels"] += self.streams[self.source].channels
        self.discriminators = nn.ModuleDict({name: network(build(**options)) for name, build in discriminators.items()})

    @classmethod
    def check(cls, order: tuple[str, ...], discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Check the options before networks are built.

        Raises:
            OptionError: `order` does not hold each phase once, or `discriminators` is not valid.
        """
        if sorted(order) != sorted(cls.phases):
            raise OptionError("order", f"expected each of {', '.join(cls.phases)} once, got {', '.join(order)}")
        check_discriminators(discriminators)

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        return cast("Mapping[str, Discriminator]", self.discriminators)

    def generate(self, image: Tensor) -> GeneratorOutput:
        """Return the output of the generator for images [B, C, H, W]."""
        return cast(GeneratorOutput, self.generator(image))

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        if to != self.target:
            raise I2IError(
                f"this translator generates domain {self.target} only, got {to!r}; train it with the other source"
            )
        return self.generate(image)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, heat map if the generator has attention, translation, and truth: the target image."""
        image = images[self.source]
        parts = torch.split(image, 1) if image_constraints(self).batch_dependent else [image]
        generated = [self.generate(part) for part in parts]
        colors = self.streams[self.source].colors
        rows = {"input": colorize(image, colors) if colors else image}
        heatmaps = [part.heatmap for part in generated if part.heatmap is not None]
        if heatmaps:
            rows["heat map"] = draw_heatmap(torch.cat(heatmaps), image.shape[-2:])
        rows |= {"translation": torch.cat([part.image for part in generated]), "truth": images[self.target]}
        return {caption: {self.source: row} for caption, row in rows.items()}
