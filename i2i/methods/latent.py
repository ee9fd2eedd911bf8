"""Unpaired translation with two auto-encoders that share one latent space: UNIT."""

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
    """Outputs by the domain that a tensor belongs to: `fake["b"]` are latents of domain a decoded as b.

    Each phase draws its own noise, so all outputs that depend on noise are computed again in each phase.
    """

    translator: Latent

    @output(reuse="step")
    def latent(self) -> dict[str, Tensor]:
        """Mean of the latent of each image."""
        return {domain: self.translator.encode(image, domain) for domain, image in self.real.items()}

    @output(reuse="phase")
    def sampled(self) -> dict[str, Tensor]:
        """Latents with added noise; the reconstruction and the translation of an image share the noise."""
        return {domain: self._noisy("noise", domain, latent) for domain, latent in self.latent.items()}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images encoded and decoded by the auto-encoder of their own domain."""
        return {domain: self.translator.decode(self.sampled[domain], domain) for domain in self.real}

    @output(reuse="phase", graph_for="generators")
    def fake(self) -> dict[str, Tensor]:
        """Translated images; each phase generates them from its own noise."""
        return {domain: self.translator.decode(self.sampled[other(domain)], domain) for domain in self.real}

    @output(reuse="phase")
    def cycle_latent(self) -> dict[str, Tensor]:
        """Mean of the latent of the translation of each image."""
        return {domain: self.translator.encode(self.fake[other(domain)], other(domain)) for domain in self.real}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated to the other domain and back, with new noise for the second translation."""
        return {
            domain: self.translator.decode(self._noisy("cycle_noise", domain, latent), domain)
            for domain, latent in self.cycle_latent.items()
        }

    def _noisy(self, name: str, domain: str, latent: Tensor) -> Tensor:
        return latent + self.randn(name, domain, latent) if self.translator.training else latent


class Latent(TwoDomains):
    r"""Translator with a variational auto-encoder for each of two domains and one latent space, for unpaired images.

    An image is encoded by the generator of its domain and decoded by that of the target domain. Noise from
    :math:`N(0, I)` is added to every latent in training mode; inference uses the mean.

    Args:
        generator: factory of the auto-encoders, one for each domain, with methods `encode` and `decode`, such as
            `shared_latent`.
        discriminators: factories of the discriminators by name; each is built once for each domain.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

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
        """Check the options before networks are built.

        Raises:
            OptionError: the generator lacks `encode` or `decode`, or `discriminators` is not valid.
        """
        check_generator(generator, ("encode", "decode"), "shared_latent")
        check_discriminators(discriminators)

    def encode(self, image: Tensor, domain: str) -> Tensor:
        """Return the mean of the latents [B, L, h, w] of images [B, C, H, W] of a domain."""
        latent: Tensor = self._generator(domain).encode(image)
        return latent

    def decode(self, latent: Tensor, domain: str) -> Tensor:
        """Return images [B, C, H, W] of a domain, decoded from latents [B, L, h, w]."""
        image: Tensor = self._generator(domain).decode(latent)
        return image

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return GeneratorOutput(self.decode(self.encode(image, other(to)), to))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, reconstruction, translation and cycle, all without noise."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        rows |= {caption: {} for caption in ("reconstruction", "translation", "cycle")}
        for source, image in images.items():
            latent = self.encode(image, source)
            translation = self.decode(latent, other(source))
            rows["reconstruction"][source] = self.decode(latent, source)
            rows["translation"][source] = translation
            rows["cycle"][source] = self.decode(self.encode(translation, other(source)), source)
        return rows

    def _generator(self, domain: str) -> Any:
        return self.generators[domain]
