"""Two auto-encoders with one latent: UNIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Stream
from i2i.core.factory import Factory
from i2i.methods.cyclic import other
from i2i.methods.outputs import GANOutputs, Outputs, output
from i2i.methods.two_domains import TwoDomains, check_discriminators, check_generator


class LatentOutputs(GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's latent painted as b.

    The generators' phase draws its own noise, so everything that follows from noise is made anew in each phase.
    """

    translator: Latent

    @output(reuse="step")
    def latent(self) -> dict[str, Tensor]:
        """The mean of each image's latent."""
        return {domain: self.translator.encode(image, domain) for domain, image in self.real.items()}

    @output(reuse="phase")
    def sampled(self) -> dict[str, Tensor]:
        """Latents with their noise; reconstruction and translation of an image share it."""
        return {domain: self._noisy("noise", domain, latent) for domain, latent in self.latent.items()}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images encoded and decoded in their own domain."""
        return {domain: self.translator.decode(self.sampled[domain], domain) for domain in self.real}

    @output(reuse="phase", graph_for="generators")
    def fake(self) -> dict[str, Tensor]:
        """Translated images; each phase generates its own from its own noise."""
        return {domain: self.translator.decode(self.sampled[other(domain)], domain) for domain in self.real}

    @output(reuse="phase")
    def cycle_latent(self) -> dict[str, Tensor]:
        """The mean of the latent of each image's translation."""
        return {domain: self.translator.encode(self.fake[other(domain)], other(domain)) for domain in self.real}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated there and back, with new noise on the way back."""
        return {
            domain: self.translator.decode(self._noisy("cycle_noise", domain, latent), domain)
            for domain, latent in self.cycle_latent.items()
        }

    def _noisy(self, name: str, domain: str, latent: Tensor) -> Tensor:
        return latent + self.randn(name, domain, latent) if self.translator.training else latent


class Latent(TwoDomains):
    r"""A variational auto-encoder for each of two domains, whose latents mean the same, trained on unpaired images.

    To translate is to encode with one domain's generator and to decode with the other's. In training noise from
    :math:`N(0, I)` is added to every latent, in translation none.

    Args:
        generator: built twice; must encode and decode, as `shared_latent` does.
        discriminators: by name, each built once for each domain.

    Source: Liu et al., UNIT, NIPS 2017, arXiv:1703.00848; mingyuliutw/UNIT 28d5982.
    """

    Outputs: ClassVar[type[Outputs]] = LatentOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(generator, discriminators)
        super().__init__(generator, discriminators, streams, encodes_own=True)

    @classmethod
    def check(cls, generator: Factory[Generator], discriminators: dict[str, Factory[Discriminator]]) -> None:
        """A generator with a latent, and somebody to judge."""
        check_generator(generator, ("encode", "decode"), "shared_latent")
        check_discriminators(discriminators)

    def encode(self, image: Tensor, domain: str) -> Tensor:
        """The latent's mean of a domain's images."""
        latent: Tensor = self._generator(domain).encode(image)
        return latent

    def decode(self, latent: Tensor, domain: str) -> Tensor:
        """A domain's images of latents."""
        image: Tensor = self._generator(domain).decode(latent)
        return image

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return GeneratorOutput(self.decode(self.encode(image, other(to)), to))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, reconstruction, translation and cycle, all without noise."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        rows |= {caption: {} for caption in ("reconstruction", "translation", "cycle")}
        for source, image in images.items():
            latent = self.encode(image, source)
            there = self.decode(latent, other(source))
            rows["reconstruction"][source] = self.decode(latent, source)
            rows["translation"][source] = there
            rows["cycle"][source] = self.decode(self.encode(there, other(source)), source)
        return rows

    def _generator(self, domain: str) -> Any:
        return self.generators[domain]
