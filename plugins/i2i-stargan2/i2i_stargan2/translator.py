"""StarGAN v2: one generator, mapping network, style encoder and discriminator for any number of domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i import Discriminator, Generator, I2IError, OptionError, Phase, Stream, output
from i2i.core.randomness import seed_of
from i2i.methods.networks import network
from i2i.methods.styled import Styled
from i2i.nn.functional.precision import to_like
from i2i_stargan2.blocks import select
from i2i_stargan2.kinds import MAPPING, STYLE_ENCODER, DomainMapping, DomainStyle

IMAGE = "image"
"""Key of all outputs: a batch mixes the domains, so outputs are not kept by domain."""
REFERENCE = ("discriminator_reference", "generator_reference")
"""Phases whose styles come from reference images."""
Images = dict[str, Tensor]


class StarGAN2Outputs(i2i.Outputs):
    """Outputs of a batch of images of any domains, under the key `image`.

    Styles come from latent codes in the phases `discriminator` and `generator`, and from reference images in the other
    two. Each phase translates with the weights of that moment.
    """

    translator: StarGAN2

    @property
    def real(self) -> Images:
        """Images [B, C, H, W]."""
        return {IMAGE: self.batch.streams[IMAGE]}

    @output(reuse="phase", graph_for="generator")
    def style(self) -> Images:
        """Style codes [B, S] of the target domains."""
        return {IMAGE: self._style("latent", "reference")}

    @output(reuse="phase", graph_for="generator")
    def fake(self) -> Images:
        """Images translated to `style`."""
        return {IMAGE: self.translator.translated(self.real[IMAGE], self.style[IMAGE])}

    @output(reuse="phase")
    def second_fake(self) -> Images:
        """Images translated to another style of the same domains, without a graph."""
        with torch.no_grad():
            return {IMAGE: self.translator.translated(self.real[IMAGE], self._style("second_latent", "reference_2"))}

    @output(reuse="phase")
    def style_reconstruction(self) -> Images:
        """Style codes of the fakes, which should equal `style`."""
        return {IMAGE: self.translator.style_encoder(self.fake[IMAGE], self._target)}

    @output(reuse="phase")
    def cycle(self) -> Images:
        """Fakes translated back, to the styles of the images themselves."""
        style = self.translator.style_encoder(self.real[IMAGE], self._source)
        return {IMAGE: self.translator.translated(self.fake[IMAGE], style)}

    @output(reuse="phase")
    def real_logits(self) -> Images:
        """Logits [B] of the images for their own domains."""
        return {IMAGE: self.translator.logits(self.real[IMAGE], self._source)}

    @output(reuse="phase")
    def fake_logits(self) -> Images:
        """Logits [B] of the fakes for the target domains."""
        return {IMAGE: self.translator.logits(self.fake[IMAGE], self._target)}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminator as a function of images of the batch's own domains."""
        return {IMAGE: lambda image: {"domain": self.translator.logits(image, self._source)}}

    @property
    def draw(self) -> dict[str, int]:
        """A seed for whatever a loss draws, different in each phase."""
        return {IMAGE: seed_of(self.batch.seed, self.phase, IMAGE)}

    @property
    def _source(self) -> Tensor:
        return self.batch.streams["label"]

    @property
    def _target(self) -> Tensor:
        return self.batch.streams["reference_label"]

    def _style(self, latent: str, reference: str) -> Tensor:
        if self.phase in REFERENCE:
            return self.translator.style_encoder(self.batch.streams[reference], self._target)
        # The phases of a step share their latent codes, as in the official code.
        shape = (len(self._target), self.translator.mapping.latent_channels)
        drawn = self.translator.randn(latent, shape, seed_of(self.batch.seed, latent))
        return self.translator.mapping(to_like(drawn, self.real[IMAGE]), self._target)


class StarGAN2(Styled):
    """Translator between any number of domains, with styles from latent codes or from reference images.

    A step has four phases, two of the discriminator and two of the generator: with latent codes, then with reference
    images. The last one trains the generator alone. The domains are the classes of the data's stream `label`.

    Args:
        generator: factory of the generator, called with images and style codes, such as `stargan2`.
        discriminator: factory of the discriminator, with one logit for each domain.
        mapping: factory of the mapping network, from latent codes to styles of each domain.
        style_encoder: factory of the encoder, from images to styles of each domain.
        streams: specification of each stream of the data, by name.

    Raises:
        OptionError: the generator takes no styles, or the data do not name at least two domains.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865; clovaai/stargan-v2 875b70a.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = StarGAN2Outputs
    phases: Mapping[str, Phase] = {
        "discriminator": Phase(("discriminator",)),
        "discriminator_reference": Phase(("discriminator",), optimizer="discriminator", alias="discriminator"),
        "generator": Phase(("generator", "mapping", "style_encoder")),
        "generator_reference": Phase(("generator",), optimizer="generator", alias="generator"),
    }
    generator_modules: ClassVar[tuple[str, ...]] = ("generator", "mapping", "style_encoder")
    domains: tuple[str, ...] = ()
    required_streams: ClassVar[Mapping[str, str]] = {
        IMAGE: "image",
        "label": "label",
        "reference": "image",
        "reference_2": "image",
        "reference_label": "label",
    }

    def __init__(
        self,
        generator: i2i.Factory[Generator],
        discriminator: i2i.Factory[Discriminator],
        mapping: i2i.Factory[DomainMapping] = MAPPING("domain_mlp"),  # noqa: B008  # names a component, builds nothing
        style_encoder: i2i.Factory[DomainStyle] = STYLE_ENCODER("domain_style_encoder"),  # noqa: B008
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        label = self.streams["label"]
        self.domains = label.names or tuple(map(str, range(label.channels)))
        if len(self.domains) < 2:
            raise OptionError("generator", f"expected data of at least two domains, got {len(self.domains)}")
        options = self.network_options(IMAGE, IMAGE)
        self.generator: Any = network(generator(**options))
        if not hasattr(self.generator, "style_channels"):
            raise OptionError("generator", f"expected one that takes styles, such as stargan2, got {generator.name!r}")
        options |= {"style_channels": self.generator.style_channels, "num_classes": len(self.domains)}
        self.mapping: Any = network(mapping(**options))
        self.style_encoder: Any = network(style_encoder(**options))
        self.discriminator: Any = network(discriminator(**options))

    @property
    def style_channels(self) -> int:
        return int(self.generator.style_channels)

    def translated(self, image: Tensor, style: Tensor) -> Tensor:
        """Return images [B, C, H, W] in the styles [B, S].

        Raises:
            I2IError: the generator would add high frequencies under masks of faces, in training.
        """
        if self.training and self.generator.w_hpf:
            raise I2IError(
                "w_hpf > 0 needs masks of faces from a landmark network, which i2i does not have: such weights can "
                "translate, and training needs w_hpf = 0"
            )
        return cast(Tensor, self.generator(image, style).image)

    def logits(self, image: Tensor, domain: Tensor) -> Tensor:
        """Return the discriminator's logits [B] of images for the domains with the numbers [B]."""
        (logits,) = self.discriminator(image).logits.values()
        return select(logits, domain)

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the images themselves: the generator takes the image and the style."""
        return image

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the style codes [B, S] of images of a domain, resized to the training size where they differ."""
        side = self.style_encoder.image_size
        if image.shape[-2:] != (side, side):
            image = F.interpolate(image, size=(side, side), mode="bilinear", antialias=True)
        return cast(Tensor, self.style_encoder(image, self._numbers(domain, image)))

    def random_style(self, number: int, to: str, seed: int, like: Tensor) -> Tensor:
        """Return the style code [1, S] of a domain that the mapping network makes of a random latent code."""
        shape = (1, self.mapping.latent_channels)
        latent = self.randn(f"translate/latent/{number}", shape, seed_of(seed, "latent", number))
        return cast(Tensor, self.mapping(to_like(latent, like), self._numbers(to, like)[:1]))

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        return self.translated(content, style)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, and for each domain an image in a random style and one in that of a reference image.

        Args:
            images: [n, C, H, W] by domain; references are the images of the other domains.
        """
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            for to in self.domains:
                code = self.random_style(1, to, 0, image).expand(len(image), -1)
                rows.setdefault(f"{to} latent", {})[source] = self.translated(image, code)
                if to in images:
                    reference = images[to][torch.arange(len(image)) % len(images[to])]
                    code = self.style_of(reference, to)
                    rows.setdefault(f"{to} reference", {})[source] = self.translated(image, code)
        return rows

    def _numbers(self, domain: str, like: Tensor) -> Tensor:
        return torch.full((len(like),), self.domains.index(domain), device=like.device)
