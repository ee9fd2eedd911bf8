"""The translators `dtn`, `dtn_joint` and `dtn_given`: domain transfer networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

import i2i
from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Decoder, Phase, Stream
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.methods.networks import network
from i2i.methods.outputs import detached, output
from i2i.methods.two_domains import check_discriminators
from i2i_dtn.networks import GivenFeatures


class TransferOutputs(i2i.GANOutputs):
    """Outputs under the key `b`, the target domain; `real` has both domains."""

    translator: DomainTransfer

    @property
    def real(self) -> dict[str, Tensor]:
        return {domain: self.batch.streams[domain] for domain in self.translator.domains}

    @output(reuse="step")
    def source_code(self) -> dict[str, Tensor]:
        """Codes f of a's images, [B, C, 1, 1], which their translations should have too."""
        return {"b": self.translator.code(self.real["a"]).detach()}

    @output(reuse="step")
    def target_code(self) -> dict[str, Tensor]:
        """Codes f of b's images, [B, C, 1, 1]."""
        return {"b": self.translator.code(self.real["b"]).detach()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Translations: G of a's images, [B, 3, H, W]."""
        return {"b": self.translator.generate(self.source_code["b"])}

    @output(reuse="step")
    def reproduced(self) -> dict[str, Tensor]:
        """G of b's images, which should be these images."""
        return {"b": self.translator.generate(self.target_code["b"])}

    @property
    def fake_code(self) -> dict[str, Tensor]:
        """Codes f of the translations, with their graph: the generator is trained through f, f itself is not."""
        return {"b": self.translator.code(self.fake["b"])}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image, for losses on their gradients."""
        return {"b": lambda image: self._discriminate({"b": image})}

    @output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of b's images, by `b/discriminator/head`."""
        return self._discriminate({"b": self.real["b"]})

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of the translations, which are detached where discriminators are trained."""
        return self._discriminate(detached(self.fake) if self.trains("discriminators") else self.fake)

    @output(reuse="phase")
    def reproduced_logits(self) -> dict[str, Tensor]:
        """Logits of the reproductions, which are detached where discriminators are trained."""
        return self._discriminate(detached(self.reproduced) if self.trains("discriminators") else self.reproduced)


class LabelledOutputs(TransferOutputs):
    """Outputs with labels of the source domain, from which f is trained."""

    @property
    def labels(self) -> dict[str, Tensor]:
        """Labels of a's images, [B]."""
        return {"a": self.batch.streams["labels"]}

    @output(reuse="phase")
    def label_logits(self) -> dict[str, Tensor]:
        """Logits of f's classifier for a's images, [B, classes]."""
        return {"a": self.translator.label_logits(self.real["a"])}


class DomainTransfer(i2i.Translator):
    """Base of the three translators: f, which is fixed while g and D are trained, and the updates of each phase.

    Args:
        features: f, with `encode` and `num_features`.
        generator: g, a decoder of b's images from f's codes.
        discriminators: D, by name; discriminators of b's images.
        updates: number of updates in a step by phase; phases that are not named have those of the class.
        streams: specifications of the data's streams.
    """

    generator_modules = ("generator",)
    ratios: ClassVar[Mapping[str, int]]
    """Number of updates of each phase in a step after f is fixed, in this order."""

    def __init__(
        self,
        features: nn.Module,
        generator: i2i.Factory[Any],
        discriminators: dict[str, i2i.Factory[i2i.Discriminator]],
        updates: Mapping[str, int] | None,
        streams: Mapping[str, Stream] | None,
    ) -> None:
        super().__init__(streams)
        self.features: Any = features
        self.generator = network(generator(features.num_features, **self.network_options("a", "b")))
        built = {name: network(build(**self.network_options("b"))) for name, build in discriminators.items()}
        self.discriminators = nn.ModuleDict({"b": nn.ModuleDict(built)})
        self.updates = {**self.ratios, **(updates or {})}

    @classmethod
    def check(
        cls, discriminators: dict[str, i2i.Factory[i2i.Discriminator]], updates: dict[str, int] | None = None
    ) -> None:
        """Refuse an empty table of discriminators, and updates of unknown phases."""
        check_discriminators(discriminators)
        for phase in updates or ():
            if phase not in cls.ratios:
                raise i2i.OptionError("updates", f"expected updates of {', '.join(cls.ratios)}, got some of {phase!r}")

    def active_phases(self, step: int) -> list[str]:
        """Return each phase as often as its number of updates."""
        return [phase for phase in self.phases for _ in range(self.updates.get(phase, 0))]

    def code(self, image: Tensor) -> Tensor:
        """Return f(x), [B, C, 1, 1], of images [B, 3, H, W]."""
        code: Tensor = self.features.encode(image).features
        return code

    def generate(self, code: Tensor) -> Tensor:
        """Return images [B, 3, H, W] in [-1, 1] of codes [B, C, 1, 1]."""
        image: Tensor = self.generator(code).image
        return image

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        """Return G(x) = g(f(x)), also of b's images, which should be reproduced."""
        if to != "b":
            raise i2i.I2IError(
                f"this translator translates to domain b only, got {to!r}; train it with a and b exchanged"
            )
        return i2i.GeneratorOutput(self.generate(self.code(image)))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return inputs, translations of a, and reproductions of b."""
        results = {domain: self.translate(image, "b").image for domain, image in images.items()}
        return {"input": dict(images), "translation": {"a": results["a"]}, "reproduction": {"b": results["b"]}}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)


class LabelledTransfer(DomainTransfer):
    """Base of the translators that train f from the source's labels in the first steps and then fix it.

    Args:
        features: f with a classifier, such as `label_encoder`.
        generator: g, a decoder of b's images from f's codes.
        discriminators: D, by name; discriminators of b's images.
        feature_steps: number of steps that train f, before those that train g and D.
        updates: number of updates in a step by phase; phases that are not named have those of the class.
        streams: specifications of the data's streams.
    """

    Outputs = LabelledOutputs
    required_streams: ClassVar[Mapping[str, str]] = {"a": "image", "b": "image", "labels": "label"}

    def __init__(
        self,
        features: i2i.Factory[i2i.Discriminator],
        generator: i2i.Factory[Decoder],
        discriminators: dict[str, i2i.Factory[i2i.Discriminator]],
        feature_steps: Count = 20_000,
        updates: dict[str, Positive] | None = None,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        if not callable(getattr(features.component, "encode", None)):
            raise i2i.OptionError(
                "features", f"expected an encoder with a classifier, such as label_encoder, got {features.name!r}"
            )
        a = streams["a"] if streams else Stream()
        offered = {} if a.size is None else {"image_size": a.size}
        encoder = network(features(in_channels=a.channels, **offered))
        super().__init__(encoder, generator, discriminators, updates, streams)
        self.feature_steps, self.learning = feature_steps, feature_steps > 0

    def active_phases(self, step: int) -> list[str]:
        """Return the phase of f in the first steps, and the others afterwards."""
        return ["features"] if step < self.feature_steps else super().active_phases(step)

    def at_step_(self, step: int) -> None:
        """Fix f after its phase."""
        self.learning = step < self.feature_steps
        self.train(self.training)

    def train(self, mode: bool = True) -> LabelledTransfer:
        """Set the training mode; a fixed f stays in evaluation mode, so that its running statistics do not change."""
        super().train(mode)
        self.features.train(mode and self.learning)
        return self

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return (0, self.feature_steps)

    def label_logits(self, image: Tensor) -> Tensor:
        """Return the logits of f's classifier, [B, classes]."""
        logits: Tensor = self.features(image).logits["label"]
        return logits


class DTN(LabelledTransfer):
    """DTN that alternates between the source and the target domain, as the reference implementation does.

    A step updates, on one batch, D and G on the source (adversarial loss and f-constancy), then D and G on the target
    (adversarial loss and reconstruction).

    Source: settings of yunjey/domain-transfer-network; Taigman, Polyak and Wolf, Unsupervised Cross-Domain Image
    Generation, ICLR 2017, arXiv:1611.02200.
    """

    phases: Mapping[str, Phase] = {
        "features": Phase(("features",)),
        "source_discriminator": Phase(("discriminators",)),
        "source_generator": Phase(("generator",)),
        "target_discriminator": Phase(("discriminators",)),
        "target_generator": Phase(("generator",)),
    }
    ratios: ClassVar[Mapping[str, int]] = {
        "source_discriminator": 1,
        "source_generator": 6,
        "target_discriminator": 2,
        "target_generator": 4,
    }
    default_phase = "source_generator"


class DTNJoint(LabelledTransfer):
    """DTN with one loss of D and one of G for both domains, as in the paper's equations 3 and 4.

    Source: Taigman et al., ICLR 2017, arXiv:1611.02200, section 3.
    """

    phases: Mapping[str, Phase] = {
        "features": Phase(("features",)),
        "discriminator": Phase(("discriminators",)),
        "generator": Phase(("generator",)),
    }
    ratios: ClassVar[Mapping[str, int]] = {"discriminator": 1, "generator": 1}


class DTNGiven(DomainTransfer):
    """DTN with any pretrained feature extractor as f, and the phases of `dtn_joint`.

    Args:
        generator: g, a decoder of b's images from f's codes.
        discriminators: D, by name; discriminators of b's images.
        extractor: f; codes are its features, averaged over the pixels.
        tap: its layer whose features are used.
        updates: number of updates in a step by phase; phases that are not named have one.
        streams: specifications of the data's streams.

    Source: Taigman et al., ICLR 2017, arXiv:1611.02200, section 5.2, where f is a network that recognizes faces.
    """

    Outputs = TransferOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generator",))}
    ratios: ClassVar[Mapping[str, int]] = {"discriminator": 1, "generator": 1}

    def __init__(
        self,
        generator: i2i.Factory[Decoder],
        discriminators: dict[str, i2i.Factory[i2i.Discriminator]],
        extractor: i2i.Factory[i2i.FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
        tap: str = "blocks.4",
        updates: dict[str, Positive] | None = None,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(GivenFeatures(extractor((tap,))), generator, discriminators, updates, streams)
