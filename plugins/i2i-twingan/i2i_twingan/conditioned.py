"""The translator `twin_conditioned`: TwinGAN whose translations also follow the features of a second image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from annotated_types import Ge
from torch import Tensor

from i2i import Discriminator, Factory, FeatureExtractor, Generator, GeneratorOutput, I2IError, OptionError
from i2i.core.contracts import Stream
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.methods.cyclic import other
from i2i.methods.growth import GrowthStage
from i2i.methods.outputs import output
from i2i_twingan.translator import Twin, TwinOutputs


class ConditionedOutputs(TwinOutputs):
    """As for TwinGAN, with conditions: the reference of a translation is the batch's image of its domain."""

    translator: TwinConditioned

    @output(reuse="step")
    def condition(self) -> dict[str, Tensor]:
        """Features [B, n] of the batch's images, without a graph, which translations to their domains should have."""
        return {
            domain: self.translator.condition_of(self.real[domain], unit_range=True).detach()
            for domain in self.translator.conditioned
        }

    @output(reuse="step")
    def fake_condition(self) -> dict[str, Tensor]:
        """Features [B, n] of the translations, with a gradient to them."""
        return {
            domain: self.translator.condition_of(self.fake[domain], unit_range=True)
            for domain in self.translator.conditioned
        }

    @output(reuse="step")
    def kept(self) -> dict[str, Tensor]:
        """Features [B, n] of the translations' inputs, without a graph, which their translations should keep."""
        return {
            domain: self.translator.kept_of(self.real[other(domain)]).detach() for domain in self.translator.conditioned
        }

    @output(reuse="step")
    def fake_kept(self) -> dict[str, Tensor]:
        """The same features [B, n] of the translations, with a gradient to them."""
        return {domain: self.translator.kept_of(self.fake[domain]) for domain in self.translator.conditioned}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Translations of each domain's image, with the features of the image of the other one."""
        decode = self.translator.generator.decode
        return {
            domain: decode(self.code[other(domain)], domain, self.condition.get(domain))
            for domain in self.translator.domains
        }

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images decoded in their own domain, with their own features."""
        decode = self.translator.generator.decode
        return {domain: decode(code, domain, self.condition.get(domain)) for domain, code in self.code.items()}


class TwinConditioned(Twin):
    """TwinGAN whose generator also gets features of a second image: its hair colour, the input's pose and expression.

    The article that describes TwinGAN names this as its next step, with the tags of illustration2vec as features; the
    released code has no working version. Any frozen feature extractor can give them.

    Args:
        generator: a generator with `encode` and `decode` for a domain and a condition, such as `twin_unet`.
        discriminators: by name; each is built once for each domain.
        stages: sizes and their numbers of steps; the last size is that of the data. One stage for no growing.
        extractor: a feature extractor of one tap, whose features are averaged over the pixels.
        tap: its layer whose features are used.
        conditioned: domains whose images are generated with a condition.
        kept: a feature extractor of what translations keep of their inputs, such as the pose, for images of both
            domains; None for none. The outputs `kept` and `fake_kept` need it.
        reconstruction_gan_size: smallest size at which the output `reconstruction_logits` exists.
        fresh_optimizers: whether optimizers lose their state at the start of each stage, as in PGGAN.
        streams: specifications of the data's streams.

    Source: Li, arXiv:1809.00946, for the networks; the conditioning is ours.
    """

    Outputs = ConditionedOutputs
    reference_domains: ClassVar[tuple[str, ...]] = ("a", "b")

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        stages: tuple[GrowthStage, ...],
        extractor: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("drawn_tags"),
        tap: str = "tags",
        conditioned: tuple[str, ...] = ("b",),
        kept: Factory[FeatureExtractor] | None = None,
        reconstruction_gan_size: Annotated[int, Ge(1)] = 64,
        fresh_optimizers: bool = True,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        if not conditioned or not set(conditioned) <= set(self.reference_domains):
            raise OptionError("conditioned", f"expected one or both of a and b, got {list(conditioned)}")
        features: Any = extractor((tap,))
        super().__init__(
            replace(generator, options={**generator.options, "condition": features.num_features[0]}),
            discriminators,
            stages,
            reconstruction_gan_size,
            fresh_optimizers,
            streams,
        )
        self.extractor: Any = features.eval().requires_grad_(False)
        self.conditioned = conditioned
        self.kept: Any = None if kept is None else kept((tap,)).eval().requires_grad_(False)

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator", "extractor")

    @property
    def targets(self) -> tuple[str, ...]:
        """Domains with a condition; the others are as in TwinGAN, but the command takes a reference for all."""
        return self.conditioned

    def condition_of(self, image: Tensor, unit_range: bool = False) -> Tensor:
        """Return the features [B, n] of images [B, C, S, S] in [-1, 1], or in [0, 1]."""
        return _mean_features(self.extractor, 2 * image - 1 if unit_range else image)

    def kept_of(self, image: Tensor) -> Tensor:
        """Return the features [B, n] that translations keep, of images [B, C, S, S] in [0, 1]."""
        if self.kept is None:
            raise OptionError("kept", "the outputs kept and fake_kept need the feature extractor translator.kept")
        return _mean_features(self.kept, 2 * image - 1)

    @property
    def requires_condition(self) -> bool:
        """Whether `translate` needs a condition: the reference."""
        return True

    def translate(self, image: Tensor, to: str, reference: Tensor | None = None) -> GeneratorOutput:
        """Translate images with the features of a second image.

        Args:
            image: [B, C, S, S] in [-1, 1].
            to: a domain of `conditioned`.
            reference: images of the domain `to`, [1 or B, C, S, S] in [-1, 1]; required.

        Raises:
            I2IError: there is no reference, or no such target.
        """
        if reference is None:
            raise I2IError(
                "this translator needs a reference image of the target domain, such as reference=drawing.png"
            )
        if to not in self.conditioned:
            raise I2IError(f"this translator translates only to {', '.join(self.conditioned)}, got {to!r}")
        condition = self.condition_of(reference).expand(image.shape[0], -1)
        decoded = self.generator.decode(self._encode(image, other(to)), to, condition)
        return GeneratorOutput(self._output_image(decoded))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return inputs, the references that give the features, and translations."""
        rows: dict[str, dict[str, Tensor]] = {"input": {}, "reference": {}, "translation": {}}
        for to in self.conditioned:
            image, reference = images[other(to)], images[to]
            rows["input"][other(to)], rows["reference"][other(to)] = image, reference
            rows["translation"][other(to)] = self.translate(image, to, reference).image
        return rows


def _mean_features(extractor: FeatureExtractor, image: Tensor) -> Tensor:
    """Return an extractor's features of one tap [B, n], averaged over the pixels."""
    (features,) = extractor(image)
    return features.mean((2, 3))
