"""What exists for a batch: one half is encoded and swapped, the other is what random images must look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from i2i.core.randomness import seed_of
from i2i.methods.cyclic import other
from i2i.methods.outputs import GANOutputs, detached, output
from i2i.nn.functional.precision import to_like
from i2i_drit.attribute_encoders import Attribute

if TYPE_CHECKING:
    from i2i_drit.translator import Disentangled

RANDOM = {"a": "a_random", "b": "b_random"}
"""What a domain is called where attributes are random; it has discriminators of its own there."""


class DisentangledOutputs(GANOutputs):
    """Outputs by domain, and by `a_random` and `b_random` where attributes are drawn.

    Whatever is drawn follows from the batch alone, not from the phase: the discriminators are shown the very images
    that the generator is judged by, also where a phase makes them again.
    """

    translator: Disentangled

    @property
    def real(self) -> Mapping[str, Tensor]:
        """`a`, `b`: the pair that is encoded; `a_random`, `b_random`: other images, the standard of random fakes."""
        whole = {domain: self.batch.streams[domain] for domain in self.translator.domains}
        first = {domain: image[: self._half(image)] for domain, image in whole.items()}
        return first | {RANDOM[domain]: image[-self._half(image) :] for domain, image in whole.items()}

    @property
    def draw(self) -> dict[str, int]:
        """A seed for whatever a loss draws, another in each phase and for each key of `real`."""
        return {key: seed_of(self.batch.seed, self.phase, key) for key in (*RANDOM, *RANDOM.values())}

    @output(reuse="step")
    def content(self) -> dict[str, Tensor]:
        """Contents without their noise."""
        return {domain: self.translator.content_of(self.real[domain], domain) for domain in RANDOM}

    @output(reuse="step")
    def noisy_content(self) -> dict[str, Tensor]:
        """Contents as decoders and the content discriminator see them."""
        return {domain: self._noisy("noise", domain, content) for domain, content in self.content.items()}

    @output(reuse="step")
    def _attributes(self) -> dict[str, Attribute]:
        return {domain: self.translator.attributes_of(self.real[domain], domain) for domain in RANDOM}

    @property
    def attribute_mean(self) -> dict[str, Tensor]:
        """Means of the encoded attributes."""
        return {domain: attribute.mean for domain, attribute in self._attributes.items()}

    @property
    def attribute_log_variance(self) -> dict[str, Tensor]:
        """Log-variances of the encoded attributes; nothing where the encoder gives none."""
        found = {domain: attribute.log_variance for domain, attribute in self._attributes.items()}
        return {domain: value for domain, value in found.items() if value is not None}

    @output(reuse="step")
    def attribute(self) -> dict[str, Tensor]:
        """Encoded attributes, drawn from their distribution where the encoder gives one."""
        return {domain: self._sampled("attribute", domain, one) for domain, one in self._attributes.items()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """The other domain's content in this image's attribute: the first half of the cross-cycle."""
        return {d: self.translator.generate(self.noisy_content[other(d)], self.attribute[d], d) for d in RANDOM}

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images of their own content and attribute."""
        return {d: self.translator.generate(self.noisy_content[d], self.attribute[d], d) for d in RANDOM}

    @output(reuse="step")
    def cycle(self) -> dict[str, Tensor]:
        """Contents and attributes of the fakes, swapped back: the second half of the cross-cycle."""
        contents, attributes = {}, {}
        for domain, image in self.fake.items():
            contents[other(domain)] = self._noisy("cycle_noise", domain, self.translator.content_of(image, domain))
            attributes[domain] = self._sampled("cycle_attribute", domain, self.translator.attributes_of(image, domain))
        return {domain: self.translator.generate(contents[domain], attributes[domain], domain) for domain in RANDOM}

    @output(reuse="step")
    def random_attribute(self) -> dict[str, Tensor]:
        """Attributes from N(0, I)."""
        return self._random_attributes("random_attribute")

    @output(reuse="step")
    def second_attribute(self) -> dict[str, Tensor]:
        """Further attributes from N(0, I), which should give other images."""
        return self._random_attributes("second_attribute")

    @output(reuse="phase", graph_for="generator.decoders")
    def random_fake(self) -> dict[str, Tensor]:
        """The other domain's content in a random attribute."""
        return self._generated_in(self.random_attribute)

    @output(reuse="phase", graph_for="generator.decoders")
    def second_fake(self) -> dict[str, Tensor]:
        """The same contents in the second attribute."""
        return self._generated_in(self.second_attribute)

    @output(reuse="phase")
    def attribute_reconstruction(self) -> dict[str, Tensor]:
        """The mean attribute of each random fake, which should be the one that it was painted in."""
        return {RANDOM[d]: self.translator.attributes_of(self.random_fake[RANDOM[d]], d).mean for d in RANDOM}

    @output(reuse="phase")
    def fake_for_discriminator(self) -> dict[str, Tensor]:
        """Both sorts of fakes as discriminators are trained on them."""
        fake_for_discriminator: dict[str, Tensor] = detached({**self.fake, **self.random_fake})
        return fake_for_discriminator

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits, by `domain/discriminator/head`, of the phase's fakes: encoded ones, random ones, or both."""
        if self.trains("discriminators"):
            _ = self.real_logits  # first, as everywhere: the order of calls is part of a method with spectral norm
            return self._discriminate(self.fake_for_discriminator)
        return self._discriminate(self.fake if self.trains("generator.attribute_encoders") else self.random_fake)

    @property
    def content_logits_a(self) -> dict[str, Tensor]:
        """The content discriminator on a's contents, by head."""
        logits: dict[str, Tensor] = self._content_logits["a"]
        return logits

    @property
    def content_logits_b(self) -> dict[str, Tensor]:
        """The content discriminator on b's contents, by head."""
        logits: dict[str, Tensor] = self._content_logits["b"]
        return logits

    @output(reuse="phase")
    def _content_logits(self) -> dict[str, dict[str, Tensor]]:
        contents = detached(self.noisy_content) if self.trains("content_discriminator") else self.noisy_content
        return {domain: self.translator.content_discriminator(content).logits for domain, content in contents.items()}

    def _generated_in(self, attributes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        contents = self.noisy_content
        return {RANDOM[d]: self.translator.generate(contents[other(d)], attributes[RANDOM[d]], d) for d in RANDOM}

    def _random_attributes(self, name: str) -> dict[str, Tensor]:
        size = self.translator.style_channels
        images = {RANDOM[domain]: self.real[domain] for domain in RANDOM}
        return {key: self._drawn(name, key, (len(image), size), image) for key, image in images.items()}

    def _noisy(self, name: str, domain: str, content: Tensor) -> Tensor:
        if not self.translator.training or not self.translator.noise:
            return content
        return content + self.translator.noise * self._drawn(name, domain, content.shape, content)

    def _sampled(self, name: str, domain: str, attribute: Attribute) -> Tensor:
        mean, log_variance = attribute
        if log_variance is None or not self.translator.training:
            return mean
        return mean + (log_variance / 2).exp() * self._drawn(name, domain, mean.shape, mean)

    def _drawn(self, name: str, key: str, shape: Sequence[int], like: Tensor) -> Tensor:
        drawn = self.translator.randn(f"{name}/{key}", shape, seed_of(self.batch.seed, name, key))
        return to_like(drawn, like)

    @staticmethod
    def _half(image: Tensor) -> int:
        """Half of a batch; one image alone plays both parts."""
        return max(1, len(image) // 2)
