"""Content and attribute told apart, so that one image has many translations: DRIT, DRIT++."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Positive
from i2i.core.contracts import Discriminator, Generator, Phase
from i2i.methods.networks import network
from i2i.methods.styled import Styled
from i2i.methods.two_domains import check_discriminators, check_generator
from i2i_drit.attribute_encoders import Attribute
from i2i_drit.outputs import RANDOM, DisentangledOutputs


class Disentangled(Styled):
    """Encoders that tell what two domains share, the content, from what is each one's own, the attribute.

    To translate is to decode an image's content with the other domain's decoder and one of its attributes: a random
    one, or that of a reference image.

    A batch is cut in two. The images of its first half are encoded; their contents are swapped and swapped back
    (cross-cycle), and painted in random attributes. Those of its second half are what the latter are compared with. A
    batch of one plays both parts.

    Args:
        generator: of both domains; must have content and attributes, as `drit_concat` does.
        discriminators: by name, each built four times: for each domain, for encoded and for random attributes.
        content_discriminator: tells from which domain a content comes.
        d_iter: in each n-th step everything is trained, in the others the content discriminator alone.
        noise: standard deviation of what is added to contents in training.

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
        image_size: int | None = None,
    ) -> None:
        self.check(generator, discriminators)
        super().__init__()
        self.d_iter, self.noise = d_iter, noise
        self.generator: Any = network(generator(image_size=image_size))
        self.discriminators = nn.ModuleDict(
            {
                key: nn.ModuleDict(
                    {name: network(build(image_size=image_size)) for name, build in discriminators.items()}
                )
                for key in (*RANDOM, *RANDOM.values())
            }
        )
        features = self.generator.num_features
        self.content_discriminator = network(content_discriminator(image_size=image_size, num_features=features))

    @classmethod
    def check(cls, generator: i2i.Factory[Generator], discriminators: dict[str, i2i.Factory[Discriminator]]) -> None:
        """A generator with contents and attributes, and somebody to judge."""
        check_generator(generator, ("encode_content", "encode_attribute", "decode"), "drit_concat")
        check_discriminators(discriminators)

    def active_phases(self, step: int) -> list[str]:
        """The content discriminator in every step, everything else in each `d_iter`-th."""
        return list(self.phases) if (step + 1) % self.d_iter == 0 else ["content"]

    @property
    def style_channels(self) -> int:
        """Numbers in an attribute."""
        return int(self.generator.attribute_channels)

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator",)

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        content: Tensor = self.generator.encode_content(image, domain)
        return content

    def attributes_of(self, image: Tensor, domain: str) -> Attribute:
        """What is known of the attributes [B, A] of a domain's images [B, 3, H, W]."""
        attribute: Attribute = self.generator.encode_attribute(image, domain)
        return attribute

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        return self.attributes_of(image, domain).mean

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        image: Tensor = self.generator.decode(content, style, domain)
        return image
