"""The translator `disentangled`: a shared content and an attribute of each domain, DRIT and DRIT++."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Positive
from i2i.core.contracts import Discriminator, Generator, Phase, Stream
from i2i.core.randomness import seed_of
from i2i.methods.cyclic import other
from i2i.methods.networks import network
from i2i.methods.outputs import GANOutputs, detached, output
from i2i.methods.styled import Styled
from i2i.methods.two_domains import check_discriminators, check_generator
from i2i.nn.functional.precision import to_like
from i2i_drit.encoders import Attribute

RANDOM = {"a": "a_random", "b": "b_random"}
"""Keys of the outputs with random attributes, by domain; these keys have discriminators of their own."""


class DisentangledOutputs(GANOutputs):
    """Outputs by domain and, where attributes are random, by `a_random` and `b_random`.

    The batch is split: images of the first half are encoded, those of the second half are the real images that random
    fakes are compared with. Everything that is drawn depends on the batch's seed but not on the phase, so that
    discriminators are trained on the same images as the generator, also where a phase generates them again.
    """

    translator: Disentangled

    @property
    def real(self) -> Mapping[str, Tensor]:
        """`a`, `b`: images that are encoded; `a_random`, `b_random`: other images of the domains."""
        images = {domain: self.batch.streams[domain] for domain in RANDOM}
        half = max(1, len(images["a"]) // 2)  # a batch of one is in both halves
        first = {domain: image[:half] for domain, image in images.items()}
        return first | {RANDOM[domain]: image[-half:] for domain, image in images.items()}

    @property
    def draw(self) -> dict[str, int]:
        """A seed for whatever a loss draws, different in each phase and for each key of `real`."""
        return {key: seed_of(self.batch.seed, self.phase, key) for key in (*RANDOM, *RANDOM.values())}

    @output(reuse="step")
    def content(self) -> dict[str, Tensor]:
        """Contents [B, C, H/4, W/4] without noise."""
        return {domain: self.translator.content_of(self.real[domain], domain) for domain in RANDOM}

    @output(reuse="step")
    def noisy_content(self) -> dict[str, Tensor]:
        """Contents as the decoders and the content discriminator get them; noise is added in training only."""
        return {domain: self._with_noise("noise", domain, content) for domain, content in self.content.items()}

    @output(reuse="step")
    def _attributes(self) -> dict[str, Attribute]:
        return {domain: self.translator.attributes_of(self.real[domain], domain) for domain in RANDOM}

    @property
    def attribute_mean(self) -> dict[str, Tensor]:
        """Means of the encoded attributes, [B, A]."""
        return {domain: attribute.mean for domain, attribute in self._attributes.items()}

    @property
    def attribute_log_variance(self) -> dict[str, Tensor]:
        """Log-variances of the encoded attributes, [B, A]; empty if the encoder returns none."""
        log_variances = {domain: attribute.log_variance for domain, attribute in self._attributes.items()}
        return {domain: value for domain, value in log_variances.items() if value is not None}

    @output(reuse="step")
    def attribute(self) -> dict[str, Tensor]:
        """Encoded attributes [B, A], sampled from their distribution if the encoder returns one."""
        return {domain: self._sample("attribute", domain, value) for domain, value in self._attributes.items()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Contents of the other domain with encoded attributes: the first translation of the cross-cycle."""
        contents, attributes = self.noisy_content, self.attribute
        return {d: self.translator.generate(contents[other(d)], attributes[d], d) for d in RANDOM}

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images decoded from their own content and attribute."""
        return {d: self.translator.generate(self.noisy_content[d], self.attribute[d], d) for d in RANDOM}

    @output(reuse="step")
    def cycle(self) -> dict[str, Tensor]:
        """Contents and attributes of the fakes, swapped back: the second translation of the cross-cycle."""
        contents, attributes = {}, {}
        for domain, image in self.fake.items():
            contents[other(domain)] = self._with_noise("cycle_noise", domain, self.translator.content_of(image, domain))
            attributes[domain] = self._sample("cycle_attribute", domain, self.translator.attributes_of(image, domain))
        return {domain: self.translator.generate(contents[domain], attributes[domain], domain) for domain in RANDOM}

    @output(reuse="step")
    def random_attribute(self) -> dict[str, Tensor]:
        """Attributes from N(0, I), [B, A]."""
        return self._draw_attributes("random_attribute")

    @output(reuse="step")
    def second_attribute(self) -> dict[str, Tensor]:
        """Further attributes from N(0, I), [B, A], for mode seeking."""
        return self._draw_attributes("second_attribute")

    @output(reuse="phase", graph_for="generator.decoders")
    def random_fake(self) -> dict[str, Tensor]:
        """Contents of the other domain with random attributes; each phase generates them with its own weights."""
        return self._translate(self.random_attribute)

    @output(reuse="phase", graph_for="generator.decoders")
    def second_fake(self) -> dict[str, Tensor]:
        """The same contents with the second attributes."""
        return self._translate(self.second_attribute)

    @output(reuse="phase")
    def attribute_reconstruction(self) -> dict[str, Tensor]:
        """Encoded means of the random fakes' attributes, which should be the random attributes."""
        return {RANDOM[d]: self.translator.attributes_of(self.random_fake[RANDOM[d]], d).mean for d in RANDOM}

    @output(reuse="phase")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """Detached fakes with encoded and with random attributes."""
        fakes: dict[str, Tensor] = detached({**self.fake, **self.random_fake})
        return fakes

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of the phase's fakes by `key/discriminator/head`: with encoded attributes, random ones, or both."""
        if self.trains("discriminators"):
            return self._both_logits[1]
        return self._discriminate(self.fake if self.trains("generator.attribute_encoders") else self.random_fake)

    @property
    def content_logits_a(self) -> dict[str, Tensor]:
        """Logits of the content discriminator for the contents of a, by head."""
        return self._content_logits["a"]

    @property
    def content_logits_b(self) -> dict[str, Tensor]:
        """Logits of the content discriminator for the contents of b, by head."""
        return self._content_logits["b"]

    @output(reuse="phase")
    def _content_logits(self) -> dict[str, dict[str, Tensor]]:
        contents = detached(self.noisy_content) if self.trains("content_discriminator") else self.noisy_content
        return {domain: self.translator.content_discriminator(content).logits for domain, content in contents.items()}

    def _translate(self, attributes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        contents = self.noisy_content
        return {RANDOM[d]: self.translator.generate(contents[other(d)], attributes[RANDOM[d]], d) for d in RANDOM}

    def _draw_attributes(self, name: str) -> dict[str, Tensor]:
        images = {RANDOM[domain]: self.real[domain] for domain in RANDOM}
        size = self.translator.style_channels
        return {key: self._randn(name, key, (len(image), size), image) for key, image in images.items()}

    def _with_noise(self, name: str, domain: str, content: Tensor) -> Tensor:
        if not self.translator.training or not self.translator.noise:
            return content
        return content + self.translator.noise * self._randn(name, domain, content.shape, content)

    def _sample(self, name: str, domain: str, attribute: Attribute) -> Tensor:
        mean, log_variance = attribute
        if log_variance is None or not self.translator.training:
            return mean
        return mean + (log_variance / 2).exp() * self._randn(name, domain, mean.shape, mean)

    def _randn(self, name: str, key: str, shape: Sequence[int], like: Tensor) -> Tensor:
        """Draw from N(0, 1), the same numbers in every phase, which `Outputs.randn` does not."""
        drawn = self.translator.randn(f"{name}/{key}", shape, seed_of(self.batch.seed, name, key))
        return to_like(drawn, like)


class Disentangled(Styled):
    """Encoders and decoders of a content that two domains share and of an attribute of each domain.

    A translation decodes the content of an image with the other domain's decoder and one of that domain's attributes: a
    random one, or that of a reference image.

    Args:
        generator: generator of both domains, with contents and attributes, such as `drit_concat`.
        discriminators: by name; each is built four times, for each domain with encoded and with random attributes.
        content_discriminator: discriminator of the domain that a content comes from.
        d_iter: all networks are trained in every n-th step, and the content discriminator alone in the others.
        noise: standard deviation of the noise on contents in training.

    Raises:
        OptionError: the generator has no contents and attributes, or there is no discriminator.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; DRIT++, IJCV 2020, arXiv:1905.01270.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = DisentangledOutputs
    phases: Mapping[str, Phase] = {
        "content": Phase(("content_discriminator",)),
        "discriminator": Phase(("discriminators",)),
        "generator": Phase(("generator.content_encoder", "generator.attribute_encoders", "generator.decoders")),
        "random": Phase(("generator.content_encoder", "generator.decoders"), optimizer="generator", alias="generator"),
    }
    generator_modules: ClassVar[tuple[str, ...]] = phases["generator"].modules

    def __init__(
        self,
        generator: i2i.Factory[Generator],
        discriminators: dict[str, i2i.Factory[Discriminator]],
        content_discriminator: i2i.Factory[Discriminator],
        d_iter: Positive = 3,
        noise: Annotated[float, Field(ge=0)] = 1.0,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(generator, discriminators)
        super().__init__(streams)
        self.d_iter, self.noise = d_iter, noise
        self.generator: Any = network(generator(**self.network_options("a", "b")))
        self.discriminators = nn.ModuleDict(
            {
                key: nn.ModuleDict(
                    {name: network(build(**self.network_options(key[0]))) for name, build in discriminators.items()}
                )
                for key in (*RANDOM, *RANDOM.values())
            }
        )
        self.content_discriminator: Any = network(
            content_discriminator(**self.network_options("a"), num_features=self.generator.num_features)
        )

    @classmethod
    def check(cls, generator: i2i.Factory[Generator], discriminators: dict[str, i2i.Factory[Discriminator]]) -> None:
        """Refuse a generator without contents and attributes, and an empty table of discriminators."""
        check_generator(generator, ("encode_content", "encode_attribute", "decode"), "drit_concat")
        check_discriminators(discriminators)

    def active_phases(self, step: int) -> list[str]:
        """Return all phases in every `d_iter`-th step, and `content` in the others."""
        return list(self.phases) if (step + 1) % self.d_iter == 0 else ["content"]

    @property
    def style_channels(self) -> int:
        """Size A of an attribute."""
        return int(self.generator.attribute_channels)

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator",)

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        content: Tensor = self.generator.encode_content(image, domain)
        return content

    def attributes_of(self, image: Tensor, domain: str) -> Attribute:
        """Return the distribution of the attributes of a domain's images [B, 3, H, W]."""
        attribute: Attribute = self.generator.encode_attribute(image, domain)
        return attribute

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        return self.attributes_of(image, domain).mean

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        image: Tensor = self.generator.decode(content, style, domain)
        return image
