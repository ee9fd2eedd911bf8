"""Unpaired translation whose generators decode the features of the discriminators' encoders: NICE-GAN."""

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
"""Name of the only discriminator of a domain in the names of logits."""


class ReusedEncoderOutputs(GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` are images of domain a translated to b.

    The discriminator phase updates the encoders, so all images are generated again in each phase. Each discriminator
    has two forward passes in a phase, and each advances its spectral norm by one iteration. The first one takes the
    real images and also returns the code that images are generated from.
    """

    translator: ReusedEncoder

    @output(reuse="phase")
    def _real_discriminated(self) -> dict[str, DiscriminatorOutput]:
        """Output of each discriminator for real images of its domain."""
        return {domain: self.translator.discriminate(image, domain) for domain, image in self.real.items()}

    @property
    def code(self) -> dict[str, Tensor]:
        """Features [B, C, h, w] of the real images, detached: the losses of the generators do not train encoders."""
        return {domain: detached(output.code) for domain, output in self._real_discriminated.items()}

    @output(reuse="phase")
    def fake(self) -> dict[str, Tensor]:
        """Translated images."""
        return {domain: self.translator.generate(self.code[other(domain)], domain) for domain in self.real}

    @output(reuse="phase")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """Fakes that discriminators are trained on: detached."""
        fakes: dict[str, Tensor] = detached(self.fake)
        return fakes

    @output(reuse="phase")
    def _fake_discriminated(self) -> dict[str, DiscriminatorOutput]:
        """Output of each discriminator for fakes, which are detached where discriminators are trained."""
        fakes = self.fake_for_discriminator if self.trains("discriminators") else self.fake
        return {domain: self.translator.discriminate(image, domain) for domain, image in fakes.items()}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images encoded and decoded in their own domain."""
        return {domain: self.translator.generate(code, domain) for domain, code in self.code.items()}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated to the other domain, encoded by its discriminator, and translated back."""
        output = self._fake_discriminated
        return {domain: self.translator.generate(_code(output[other(domain)]), domain) for domain in self.real}

    @property
    def real_logits(self) -> dict[str, Tensor]:
        return _logits(self._real_discriminated)

    @property
    def fake_logits(self) -> dict[str, Tensor]:
        return _logits(self._fake_discriminated)


class ReusedEncoder(Translator):
    """Translator between two domains whose discriminators encode and whose generators decode, for unpaired images.

    The first layers of a discriminator are the encoder of its domain. Only the discriminator phase trains them; the
    losses of the generators are backpropagated through encoders without updating them. Translation uses the
    discriminator of the source domain and the generator of the target domain.

    Args:
        discriminator: factory of the discriminators, one for each domain, with a method `encode`, such as
            `encoder_patch`.
        generator: factory of the decoders, one for each domain; `generators.b` generates images of b from features of
            either encoder.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273, section 3.3; alpc91/NICE-GAN-pytorch 1b114f1.
    """

    Outputs: ClassVar[type[Outputs]] = ReusedEncoderOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generators",))}
    generator_modules: ClassVar[tuple[str, ...]] = ()  # images are not reused: each phase has updated encoders

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
        """Check the options before networks are built.

        Raises:
            OptionError: the discriminator has no method `encode`.
        """
        if not callable(getattr(discriminator.component, "encode", None)):
            raise OptionError(
                "discriminator",
                f"expected one whose first layers encode, such as 'encoder_patch'; {discriminator.name!r} does not",
            )

    def discriminate(self, image: Tensor, domain: str) -> DiscriminatorOutput:
        """Return the output of the discriminator of a domain for images [B, C, H, W]."""
        return cast(DiscriminatorOutput, self.discriminators[domain](image))

    def generate(self, code: Tensor, to: str) -> Tensor:
        """Return images [B, C, H, W] of domain `to`, decoded from features [B, C, h, w]."""
        return cast(GeneratorOutput, self.generators[to](code)).image

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        return {NAME: cast(Discriminator, self.discriminators[domain])}

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Translate images [B, C, H, W] to a domain.

        The discriminator of the other domain encodes them; CAM logits and heat map come from its attention.
        """
        return self._generated(image, other(to), to)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            translation = self._generated(image, source, other(source))
            cycle = self._generated(translation.image, other(source), source)
            if translation.heatmap is not None:
                rows.setdefault("heat map", {})[source] = draw_heatmap(translation.heatmap, image.shape[-2:])
            rows.setdefault("reconstruction", {})[source] = self._generated(image, source, source).image
            rows.setdefault("translation", {})[source] = translation.image
            rows.setdefault("cycle", {})[source] = cycle.image
        return rows

    @property
    def inference_modules(self) -> tuple[str, ...]:
        """Generators and discriminators, whose first layers are the encoders."""
        return ("generators", "discriminators")

    def _generated(self, image: Tensor, source: str, to: str) -> GeneratorOutput:
        encoder = cast(EncodingDiscriminator, self.discriminators[source])
        code, cam, heatmap = encoder.encode(image)
        return GeneratorOutput(self.generate(code, to), cam, heatmap)


def _code(output: DiscriminatorOutput) -> Tensor:
    assert output.code is not None  # discriminators that encode always return it
    return output.code


def _logits(outputs: Mapping[str, DiscriminatorOutput]) -> dict[str, Tensor]:
    return {
        f"{domain}/{NAME}/{head}": logits
        for domain, output in outputs.items()
        for head, logits in output.logits.items()
    }
