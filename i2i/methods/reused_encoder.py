"""Generators that decode what the discriminators' own encoders see: NICE-GAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from i2i.core.contracts import (
    Decoder,
    Discriminator,
    DiscriminatorOutput,
    EncodingDiscriminator,
    GeneratorOutput,
    Phase,
    Stream,
)
from i2i.core.factory import Factory
from i2i.errors import OptionError
from i2i.methods.cyclic import other
from i2i.methods.outputs import GANOutputs, Outputs, detached, output
from i2i.methods.translator import Translator
from i2i.nn.functional.heatmap import draw_heatmap

NAME = "encoder"
"""What the one discriminator of a domain is called in the names of logits."""


class ReusedEncoderOutputs(GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's image painted as b.

    The discriminators train between the phases, and with them the encoders, so every image is made anew in each
    phase. A discriminator is called twice in a phase, first on the real image, which also gives the code that images
    are painted from: spectral norm moves one iteration with each call.
    """

    translator: ReusedEncoder

    @output(reuse="phase")
    def _real_discriminated(self) -> dict[str, DiscriminatorOutput]:
        """Each discriminator on its own domain's images."""
        return {domain: self.translator.discriminate(image, domain) for domain, image in self.real.items()}

    @property
    def code(self) -> dict[str, Tensor]:
        """What the domain's encoder makes of the real images; without a graph, for generators do not train it."""
        return {domain: detached(output.code) for domain, output in self._real_discriminated.items()}

    @output(reuse="phase")
    def fake(self) -> dict[str, Tensor]:
        """Translated images."""
        return {domain: self.translator.generate(self.code[other(domain)], domain) for domain in self.real}

    @output(reuse="phase")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """The fakes without their graph."""
        fake_for_discriminator: dict[str, Tensor] = detached(self.fake)
        return fake_for_discriminator

    @output(reuse="phase")
    def _fake_discriminated(self) -> dict[str, DiscriminatorOutput]:
        """Each discriminator on the fakes; their graph is left away where discriminators train."""
        fakes = self.fake_for_discriminator if self.trains("discriminators") else self.fake
        return {domain: self.translator.discriminate(image, domain) for domain, image in fakes.items()}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images painted as the domain whose encoder has seen them."""
        return {domain: self.translator.generate(code, domain) for domain, code in self.code.items()}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated there and back, by the encoder of the domain that they were translated to."""
        output = self._fake_discriminated
        return {domain: self.translator.generate(_code(output[other(domain)]), domain) for domain in self.real}

    @property
    def real_logits(self) -> dict[str, Tensor]:
        return _logits(self._real_discriminated)

    @property
    def fake_logits(self) -> dict[str, Tensor]:
        return _logits(self._fake_discriminated)


class ReusedEncoder(Translator):
    """A discriminator for each of two domains whose first layers encode, and a generator for each that decodes.

    The encoder belongs to the discriminator and trains with it alone: the generators' losses pass through it on their
    way and leave it as it is. So translating takes both: the source domain's discriminator and the other's generator.

    Args:
        discriminator: built for each domain; must be one that encodes, such as `encoder_patch`.
        generator: built for each domain; paints from any encoder's features.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273, section 3.3; alpc91/NICE-GAN-pytorch 1b114f1.
    """

    Outputs: ClassVar[type[Outputs]] = ReusedEncoderOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generators",))}
    generator_modules: ClassVar[tuple[str, ...]] = ()  # no image outlives a phase: the encoders have moved

    def __init__(
        self,
        discriminator: Factory[Discriminator],
        generator: Factory[Decoder],
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.check(discriminator)
        self.discriminators = nn.ModuleDict()
        self.generators = nn.ModuleDict()
        for domain in self.domains:
            encoder: Any = discriminator(**self.network_options(domain))
            decoder: Any = generator(encoder.num_features, **self.network_options(other(domain), domain))
            self.discriminators[domain], self.generators[domain] = encoder, decoder

    @classmethod
    def check(cls, discriminator: Factory[Discriminator]) -> None:
        """Refuses a discriminator that does not encode."""
        if not callable(getattr(discriminator.component, "encode", None)):
            raise OptionError(
                "discriminator",
                f"expected one whose first layers encode, such as 'encoder_patch'; {discriminator.name!r} does not",
            )

    def discriminate(self, image: Tensor, domain: str) -> DiscriminatorOutput:
        """One discriminator's work on a batch."""
        return cast(DiscriminatorOutput, self.discriminators[domain](image))

    def generate(self, code: Tensor, to: str) -> Tensor:
        """One generator's work on a batch of codes."""
        return cast(GeneratorOutput, self.generators[to](code)).image

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        return {NAME: cast(Discriminator, self.discriminators[domain])}

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Encodes with the other domain's discriminator, whose attention gives logits and heat map."""
        return self._generated(image, other(to), to)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            there = self._generated(image, source, other(source))
            back = self._generated(there.image, other(source), source)
            if there.heatmap is not None:
                rows.setdefault("heat map", {})[source] = draw_heatmap(there.heatmap, image.shape[-2:])
            rows.setdefault("reconstruction", {})[source] = self._generated(image, source, source).image
            rows.setdefault("translation", {})[source] = there.image
            rows.setdefault("cycle", {})[source] = back.image
        return rows

    @property
    def inference_modules(self) -> tuple[str, ...]:
        """Encoders belong to the discriminators."""
        return ("generators", "discriminators")

    def _generated(self, image: Tensor, source: str, to: str) -> GeneratorOutput:
        encoder = cast(EncodingDiscriminator, self.discriminators[source])
        code, cam, heatmap = encoder.encode(image)
        return GeneratorOutput(self.generate(code, to), cam, heatmap)


def _code(output: DiscriminatorOutput) -> Tensor:
    assert output.code is not None  # an encoding discriminator's contract
    return output.code


def _logits(output: Mapping[str, DiscriminatorOutput]) -> dict[str, Tensor]:
    return {f"{domain}/{NAME}/{head}": logits for domain, by in output.items() for head, logits in by.logits.items()}
