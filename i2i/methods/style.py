"""One content, many styles: MUNIT."""

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
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's content painted in a random style of b.

    Each phase draws its own styles, so everything that follows from them is made anew in each phase.
    """

    translator: Style

    @output(reuse="step")
    def content(self) -> dict[str, Tensor]:
        """Contents of the real images, with their graph also where they are a target."""
        return {domain: self.translator.content_of(image, domain) for domain, image in self.real.items()}

    @output(reuse="step")
    def style(self) -> dict[str, Tensor]:
        """Style codes of the real images."""
        return {domain: self.translator.style_of(image, domain) for domain, image in self.real.items()}

    @output(reuse="phase")
    def random_style(self) -> dict[str, Tensor]:
        """Style codes from N(0, I), in which the fakes of a domain are painted."""
        size = self.translator.style_channels
        return {
            domain: self.randn("style", domain, image, (image.shape[0], size)) for domain, image in self.real.items()
        }

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images painted from their own content and style."""
        return {
            domain: self.translator.generate(self.content[domain], self.style[domain], domain) for domain in self.real
        }

    @output(reuse="phase", graph_for="generators")
    def fake(self) -> dict[str, Tensor]:
        """Translated images; each phase generates its own in its own random styles."""
        contents, styles = self.content, self.random_style
        return {
            domain: self.translator.generate(contents[other(domain)], styles[domain], domain) for domain in self.real
        }

    @output(reuse="phase")
    def content_reconstruction(self) -> dict[str, Tensor]:
        """The content of each image's translation, which should be the image's own `content`."""
        return {domain: self.translator.content_of(self.fake[other(domain)], other(domain)) for domain in self.real}

    @output(reuse="phase")
    def style_reconstruction(self) -> dict[str, Tensor]:
        """The style code of each fake, which should be the `random_style` that it was painted in."""
        return {domain: self.translator.style_of(image, domain) for domain, image in self.fake.items()}

    @output(reuse="phase")
    def cycle(self) -> dict[str, Tensor]:
        """Images translated there and back: the translation's content in the image's own style."""
        return {
            domain: self.translator.generate(self.content_reconstruction[domain], self.style[domain], domain)
            for domain in self.real
        }


class Style(Styled, TwoDomains):
    """An auto-encoder of content and style for each of two domains, trained on unpaired images.

    To translate is to decode an image's content with the other domain's generator and one of its styles: a random one,
    or that of a reference image.

    Args:
        generator: built twice; must encode content and style and decode them, as `content_style` does.
        discriminators: by name, each built once for each domain.

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
        """A generator with content and style, and somebody to judge."""
        check_generator(generator, ("encode_content", "encode_style", "decode"), "content_style")
        check_discriminators(discriminators)

    @property
    def style_channels(self) -> int:
        """Numbers in a style code."""
        return int(self._generator("a").style_channels)

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        """Content [B, C, h, w] of a domain's images."""
        content: Tensor = self._generator(domain).encode_content(image)
        return content

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        """Style codes [B, S] of a domain's images."""
        style: Tensor = self._generator(domain).encode_style(image)
        return style

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        """A domain's images of contents and style codes."""
        image: Tensor = self._generator(domain).decode(content, style)
        return image

    def _generator(self, domain: str) -> Any:
        return self.generators[domain]
