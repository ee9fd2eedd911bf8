"""Two generators that undo each other: CycleGAN, U-GAT-IT."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import OptionError
from i2i.methods.outputs import Outputs, TranslationOutputs, detached, output
from i2i.methods.pool import ImagePool
from i2i.methods.two_domains import TwoDomains, check_discriminators
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.independence import is_batch_independent

PhaseName = Literal["discriminator", "generator"]


def halves(made: GeneratorOutput) -> tuple[GeneratorOutput, GeneratorOutput]:
    """What was made of two batches of one size in one call."""
    first, second = zip(*(part.chunk(2) if part is not None else (None, None) for part in made), strict=True)
    return GeneratorOutput(*first), GeneratorOutput(*second)


def other(domain: str) -> str:
    """The other one of the two domains."""
    return "b" if domain == "a" else "a"


class CyclicOutputs(TranslationOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's image painted as b."""

    translator: Cyclic

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """Each generator on the other domain's images."""
        if self._together:
            return {domain: both[0] for domain, both in self._both.items()}
        return {domain: self.translator.generate(self.real[other(domain)], domain) for domain in self.real}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """Each generator on its own domain's images, which it should leave as they are."""
        if self._together:
            return {domain: both[1] for domain, both in self._both.items()}
        return {domain: self.translator.generate(self.real[domain], domain) for domain in self.real}

    @property
    def _together(self) -> bool:
        """Whether a generator paints the other domain's and its own images in one call: the same images in less time.

        Only where both are asked for in the step and their graphs are kept, and no image of a batch sees another.
        """
        alike = len({image.shape for image in self.real.values()}) == 1
        asked = self.is_needed("identity", "reproduction")
        return bool(self.graph_modules) and alike and asked and optimizations_enabled() and not self.translator.mixing

    @output(reuse="step")
    def _both(self) -> dict[str, tuple[GeneratorOutput, GeneratorOutput]]:
        images = {domain: torch.cat([self.real[other(domain)], self.real[domain]]) for domain in self.real}
        return {domain: halves(self.translator.generate(image, domain)) for domain, image in images.items()}

    @output(reuse="step")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated there and back."""
        return {domain: self.translator.generate(self.fake[other(domain)], domain).image for domain in self.real}

    @output(reuse="step")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """Fakes for the discriminators: detached, through each domain's image pool."""
        return {
            domain: self.translator.exchange(image, domain, self.batch.seed)
            for domain, image in detached(self.fake).items()
        }


class Cyclic(TwoDomains):
    """A generator and discriminators for each of two domains, trained on unpaired images.

    Args:
        generator: built twice; `generators.b` paints b from a.
        discriminators: by name, each built once for each domain.
        order: of the phases in a step.
        pool: earlier fakes that discriminators are shown too; 0 for none.

    Source: Zhu et al., ICCV 2017, arXiv:1703.10593; Kim et al., ICLR 2020, arXiv:1907.10830.
    """

    Outputs: ClassVar[type[Outputs]] = CyclicOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        order: tuple[PhaseName, ...] = ("discriminator", "generator"),
        pool: Annotated[int, Field(ge=0)] = 0,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(order, discriminators)
        super().__init__(generator, discriminators, streams)
        self.phases = {phase: type(self).phases[phase] for phase in order}
        self.pools = nn.ModuleDict({domain: ImagePool(pool) for domain in self.domains})

    @classmethod
    def check(cls, order: tuple[str, ...], discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Every phase once, and somebody to judge."""
        if sorted(order) != sorted(cls.phases):
            raise OptionError("order", f"expected each of {', '.join(cls.phases)} once, got {', '.join(order)}")
        check_discriminators(discriminators)

    def generate(self, image: Tensor, to: str) -> GeneratorOutput:
        """One generator's work on a batch."""
        return cast(GeneratorOutput, self.generators[to](image))

    @property
    def mixing(self) -> bool:
        """Whether a generator's images depend on what else is in the batch, or on draws in the order of the calls."""
        return not is_batch_independent(self.generators)

    def exchange(self, image: Tensor, domain: str, seed: int) -> Tensor:
        """Exchange images with a domain's pool."""
        return cast(ImagePool, self.pools[domain]).exchange(image, self.pool_draws(seed, domain))

    def pool_draws(self, seed: int, domain: str) -> random.Random:
        """Where an image pool's decisions about one batch come from."""
        return random.Random(seed_of(seed, "pool", domain))

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return self.generate(image, to)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """The paper's rows: input, then heat map and image of identity, translation and cycle."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            same = self.generate(image, source)
            there = self.generate(image, other(source))
            back = self.generate(there.image, source)
            for caption, made in {"identity": same, "translation": there, "cycle": back}.items():
                if made.heatmap is not None:
                    rows.setdefault(f"{caption} heat map", {})[source] = draw_heatmap(made.heatmap, image.shape[-2:])
                rows.setdefault(caption, {})[source] = made.image
        return rows
