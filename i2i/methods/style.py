"""Unpaired multimodal translation that separates content from style: MUNIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from i2i.core.contracts import Discriminator, Generator, Stream
from i2i.core.factory import Factory
from i2i.methods.cyclic import other
from i2i.methods.outputs import GANOutputs, Outputs, output
from i2i.methods.styled import Styled
from i2i.methods.two_domains import TwoDomains, check_discriminators, check_generator


class StyleOutputs(GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` combines the content of a with a random style of b.

    Each phase draws its own styles, so all outputs that depend on them are computed again in each phase.
    """

    translator: Style

    @output(reuse="step")
    def content(self) -> dict[str, Tensor]:
        """Contents [B, C, h, w] of the real images; they keep their graph also where a loss uses them as a target."""
        return {domain: self.translator.content_of(image, domain) for domain, image in self.real.items()}

    @output(reuse="step")
    def style(self) -> dict[str, Tensor]:
        """Style codes [B, S] of the real images."""
        return {domain: self.translator.style_of(image, domain) for domain, image in self.real.items()}

    @output(reuse="phase")
    def random_style(self) -> dict[str, Tensor]:
        """Style codes [B, S] from N(0, I), from which the fakes of a domain are decoded."""
        size = self.translator.style_channels
        return {
            domain: self.randn("style", domain, image, (image.shape[0], size)) for domain, image in self.real.items()
        }

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images decoded from their own content and style."""
        return {
            domain: self.translator.generate(self.content[domain], self.style[domain], domain) for domain in self.real
        }

    @output(reuse="phase", graph_for="generators")
    def fake(self) -> dict[str, Tensor]:
        """Translated images; each phase generates them with its own random styles."""
        contents, styles = self.content, self.random_style
        return {
            domain: self.translator.generate(contents[other(domain)], styles[domain], domain) for domain in self.real
        }

    @output(reuse="phase")
    def content_reconstruction(self) -> dict[str, Tensor]:
        """Contents of the translation of each image, which should equal `content`."""
        return {domain: self.translator.content_of(self.fake[other(domain)], other(domain)) for domain in self.real}

    @output(reuse="phase")
    def style_reconstruction(self) -> dict[str, Tensor]:
        """Style codes of the fakes, which should equal the `random_style` that they were decoded from."""
        return {domain: self.translator.style_of(image, domain) for domain, image in self.fake.items()}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated to the other domain and back: content of the translation, style of the image."""
        return {
            domain: self.translator.generate(self.content_reconstruction[domain], self.style[domain], domain)
            for domain in self.real
        }


class Style(Styled, TwoDomains):
    """Translator with an auto-encoder of content and style for each of two domains, for unpaired images.

    The content of an image is decoded by the generator of the target domain with a style of that domain: a random one,
    or that of a reference image.

    Args:
        generator: factory of the auto-encoders, one for each domain, with methods `encode_content`, `encode_style` and
            `decode`, such as `content_style`.
        discriminators: factories of the discriminators by name; each is built once for each domain.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Source: Huang et al., MUNIT, ECCV 2018, arXiv:1804.04732; NVlabs/MUNIT a82e222.
    """

    Outputs: ClassVar[type[Outputs]] = StyleOutputs

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
            OptionError: the generator lacks one of its methods, or `discriminators` is not valid.
        """
        check_generator(generator, ("encode_content", "encode_style", "decode"), "content_style")
        check_discriminators(discriminators)

    @property
    def style_channels(self) -> int:
        """Length S of a style code."""
        return int(self._generator("a").style_channels)

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the contents [B, C, h, w] of images [B, 3, H, W] of a domain."""
        content: Tensor = self._generator(domain).encode_content(image)
        return content

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the style codes [B, S] of images [B, 3, H, W] of a domain."""
        style: Tensor = self._generator(domain).encode_style(image)
        return style

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        """Return images [B, 3, H, W] of a domain, decoded from contents [B, C, h, w] and style codes [B, S]."""
        image: Tensor = self._generator(domain).decode(content, style)
        return image

    def _generator(self, domain: str) -> Any:
        return self.generators[domain]
