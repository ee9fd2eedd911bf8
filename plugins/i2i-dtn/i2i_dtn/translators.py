"""Domain transfer networks: an image of the target domain that has the same f as one of the source domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

import i2i
from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Decoder, Phase, Stream
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.methods.networks import network
from i2i.methods.two_domains import check_discriminators
from i2i_dtn.features import GivenFeatures
from i2i_dtn.outputs import LabelledOutputs, TransferOutputs


class DomainTransfer(i2i.Translator):
    """What the three have in common: f, which is fixed while g and D are trained, and how often each phase runs.

    Args:
        features: f, with `encode` and `num_features`.
        generator: g, paints b from f's code.
        discriminators: D, by name; they judge b's images.
        updates: how often each phase runs in a step, by phase; for those that are not named, the class's own number.
    """

    generator_modules = ("generator",)
    ratios: ClassVar[Mapping[str, int]]
    """How often each phase runs in a step once f is fixed, in this order."""

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
        judges = {name: network(build(**self.network_options("b"))) for name, build in discriminators.items()}
        self.discriminators = nn.ModuleDict({"b": nn.ModuleDict(judges)})
        self.rounds = {**self.ratios, **(updates or {})}

    @classmethod
    def check(
        cls, discriminators: dict[str, i2i.Factory[i2i.Discriminator]], updates: dict[str, int] | None = None
    ) -> None:
        """Somebody to judge, and updates of phases that there are."""
        check_discriminators(discriminators)
        for phase in updates or ():
            if phase not in cls.ratios:
                known = ", ".join(cls.ratios)
                raise i2i.OptionError("updates", f"expected updates of {known}, got some of {phase!r}")

    def active_phases(self, step: int) -> list[str]:
        """Each phase as often as its updates say."""
        return [phase for phase in self.phases for _ in range(self.rounds.get(phase, 0))]

    def code(self, image: Tensor) -> Tensor:
        """f(x), [B, C, 1, 1]."""
        code: Tensor = self.features.encode(image).features
        return code

    def generate(self, code: Tensor) -> Tensor:
        """g of a code: [B, 3, H, W] in [-1, 1]."""
        image: Tensor = self.generator(code).image
        return image

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        """G(x) = g(f(x)); b's images too, which should come back as they were."""
        if to != "b":
            raise i2i.I2IError(f"this translator paints domain b alone, got {to!r}; train it with a and b exchanged")
        return i2i.GeneratorOutput(self.generate(self.code(image)))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, translation of a, reproduction of b."""
        made = {domain: self.translate(image, "b").image for domain, image in images.items()}
        return {"input": dict(images), "translation": {"a": made["a"]}, "reproduction": {"b": made["b"]}}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)


class LabelledTransfer(DomainTransfer):
    """f is learnt from the source's labels in the first steps and fixed from then on, its statistics included.

    Args:
        features: f with a classifier, such as `label_encoder`.
        feature_steps: steps that train f, before any that train g and D.
        For the rest see `DomainTransfer`.
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
                "features", f"expected one that encodes and knows labels, such as label_encoder, got {features.name!r}"
            )
        size = streams["a"].size if streams else None
        encoder = network(features() if size is None else features(image_size=size))
        super().__init__(encoder, generator, discriminators, updates, streams)
        self.feature_steps, self.learning = feature_steps, feature_steps > 0

    def active_phases(self, step: int) -> list[str]:
        """f alone at first, then everything but f."""
        return ["features"] if step < self.feature_steps else super().active_phases(step)

    def at_step_(self, step: int) -> None:
        """Fixes f from the first step after its phase on."""
        self.learning = step < self.feature_steps
        self.train(self.training)

    def train(self, mode: bool = True) -> LabelledTransfer:
        """A fixed f stays in evaluation mode, or batch norm's statistics would move."""
        super().train(mode)
        self.features.train(mode and self.learning)
        return self

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return (0, self.feature_steps)

    def label_logits(self, image: Tensor) -> Tensor:
        """What f's classifier says, [B, classes]."""
        logits: Tensor = self.features(image).logits["label"]
        return logits


class DTN(LabelledTransfer):
    """The source and the target domain in turn, as the reference implementation trains them.

    A step holds, on one batch, updates of D and of G on the source (adversarial loss and f-constancy), then updates of
    D and of G on the target (adversarial loss and reconstruction).

    Source: facts of yunjey/domain-transfer-network; Taigman, Polyak and Wolf, Unsupervised Cross-Domain Image
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
    """Both domains in one loss of D and one of G, as the paper's equations 3 and 4 have it.

    Source: Taigman et al., ICLR 2017, arXiv:1611.02200, section 3.
    """

    phases: Mapping[str, Phase] = {
        "features": Phase(("features",)),
        "discriminator": Phase(("discriminators",)),
        "generator": Phase(("generator",)),
    }
    ratios: ClassVar[Mapping[str, int]] = {"discriminator": 1, "generator": 1}


class DTNGiven(DomainTransfer):
    """f is any feature extractor, fixed from the beginning, as the paper's is; losses as for `dtn_joint`.

    Args:
        extractor: f; the means of its features over the pixels are the code.
        tap: the layer that it takes them from.
        For the rest see `DomainTransfer`.

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
