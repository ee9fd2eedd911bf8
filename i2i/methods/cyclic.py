"""Unpaired translation with cycle consistency: CycleGAN, U-GAT-IT."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
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
DomainName = Literal["a", "b"]


def halves(generated: GeneratorOutput) -> tuple[GeneratorOutput, GeneratorOutput]:
    """Split the output for two concatenated batches of equal size into one output for each batch.

    Args:
        generated: generator output of 2B samples.

    Returns:
        The outputs of the first and of the last B samples.
    """
    first, second = zip(*(part.chunk(2) if part is not None else (None, None) for part in generated), strict=True)
    return GeneratorOutput(*first), GeneratorOutput(*second)


def other(domain: str) -> str:
    """Return the other one of the domains `a` and `b`."""
    return "b" if domain == "a" else "a"


class CyclicOutputs(TranslationOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` are images of domain a translated to b."""

    translator: Cyclic

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """Output of each generator for images of the other domain."""
        if self._in_one_pass:
            return {domain: both[0] for domain, both in self._both.items()}
        return {domain: self.translator.generate(self.real[other(domain)], domain) for domain in self.real}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """Output of each generator for images of its own domain, which it should leave unchanged."""
        if self._in_one_pass:
            return {domain: both[1] for domain, both in self._both.items()}
        return {domain: self.translator.generate(self.real[domain], domain) for domain in self.real}

    @property
    def _in_one_pass(self) -> bool:
        """Whether translation and reproduction are computed by one forward pass of each generator on both batches.

        The results are the same only if no layer mixes the samples of a batch. The larger pass is faster only if a
        loss needs the reproductions too and the graph of both is kept.
        """
        same_shape = len({image.shape for image in self.real.values()}) == 1
        needed = self.is_needed("identity", "reproduction")
        worthwhile = bool(self.graph_modules) and same_shape and needed
        return worthwhile and optimizations_enabled() and not self.translator.mixing

    @output(reuse="step")
    def _both(self) -> dict[str, tuple[GeneratorOutput, GeneratorOutput]]:
        images = {domain: torch.cat([self.real[other(domain)], self.real[domain]]) for domain in self.real}
        return {domain: halves(self.translator.generate(image, domain)) for domain, image in images.items()}

    @output(reuse="step")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated to the other domain and back."""
        return {domain: self.translator.generate(self._returned(domain), domain).image for domain in self.real}

    def _returned(self, domain: str) -> Tensor:
        """Translations of the images of a domain, as they are translated back."""
        fake, noise = self.fake[other(domain)], self.translator.cycle_noise
        if domain in self.translator.detached_cycles:
            fake = fake.detach()
        # Generators may need images in [-1, 1], such as residual ones.
        return (fake + noise * self.randn("cycle_noise", domain, fake)).clamp(-1, 1) if noise else fake

    @output(reuse="step")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """Fakes that discriminators are trained on: detached, and exchanged with the image pool of their domain."""
        return {
            domain: self.translator.exchange(image, domain, self.batch.seed)
            for domain, image in detached(self.fake).items()
        }


class Cyclic(TwoDomains):
    """Translator between two domains with cycle consistency, trained on unpaired images.

    Args:
        generator: factory of the generators, one for each direction; `generators.b` translates images of a to b.
        discriminators: factories of the discriminators by name; each is built once for each domain.
        order: order of the phases in a step; each phase occurs once.
        pool: number of earlier fakes of each domain that are stored for the training of discriminators; 0 for none.
        critic_steps: the generators are trained in every n-th step only, from the first one on.
        cycle_noise: standard deviation of the noise that is added to translations before they are translated back, so
            that they cannot hide details of the input in faint patterns (Bashkirova et al., arXiv:1908.01517).
        detached_cycles: domains whose cycle trains only the generator that translates back. The first generator is
            then not asked to keep what the other domain does not show.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Source: Zhu et al., ICCV 2017, arXiv:1703.10593; Kim et al., ICLR 2020, arXiv:1907.10830.
    """

    Outputs: ClassVar[type[Outputs]] = CyclicOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        order: tuple[PhaseName, ...] = ("discriminator", "generator"),
        pool: Annotated[int, Field(ge=0)] = 0,
        critic_steps: Annotated[int, Field(ge=1)] = 1,
        cycle_noise: Annotated[float, Field(ge=0)] = 0,
        detached_cycles: tuple[DomainName, ...] = (),
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(order, discriminators)
        super().__init__(generator, discriminators, streams)
        self.cycle_noise, self.detached_cycles = cycle_noise, detached_cycles
        every = {"discriminator": 1, "generator": critic_steps}
        self.phases = {phase: replace(type(self).phases[phase], every=every[phase]) for phase in order}
        self.pools = nn.ModuleDict({domain: ImagePool(pool) for domain in self.domains})

    @classmethod
    def check(cls, order: tuple[str, ...], discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Check the options before networks are built.

        Raises:
            OptionError: `order` does not hold each phase once, or `discriminators` is not valid.
        """
        if sorted(order) != sorted(cls.phases):
            raise OptionError("order", f"expected each of {', '.join(cls.phases)} once, got {', '.join(order)}")
        check_discriminators(discriminators)

    def generate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Return the output of the generator of domain `to` for images [B, C, H, W]."""
        return cast(GeneratorOutput, self.generators[to](image))

    @property
    def mixing(self) -> bool:
        """Whether an image depends on the other samples of its batch, or on random draws inside the generator."""
        return not is_batch_independent(self.generators)

    def exchange(self, image: Tensor, domain: str, seed: int) -> Tensor:
        """Exchange images [B, C, H, W] with the image pool of a domain; `seed` is that of the batch."""
        pool = cast(ImagePool, self.pools[domain])
        return pool.exchange(image, self.pool_draws(seed, domain)) if pool.size else image

    def pool_draws(self, seed: int, domain: str) -> random.Random:
        """Return the random source that decides which images of a batch an image pool exchanges."""
        return random.Random(seed_of(seed, "pool", domain))

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return self.generate(image, to)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows of the papers: input, then heat map and image of identity, translation and cycle."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            identity = self.generate(image, source)
            translation = self.generate(image, other(source))
            cycle = self.generate(translation.image, source)
            for caption, generated in {"identity": identity, "translation": translation, "cycle": cycle}.items():
                if generated.heatmap is not None:
                    rows.setdefault(f"{caption} heat map", {})[source] = draw_heatmap(
                        generated.heatmap, image.shape[-2:]
                    )
                rows.setdefault(caption, {})[source] = generated.image
        return rows
