"""The translator `twin`: one growing encoder and generator for both domains, TwinGAN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from annotated_types import Ge
from torch import Tensor, nn

import i2i
from i2i import Discriminator, Factory, Generator, GeneratorOutput, I2IError, OptionError
from i2i.core.bounds import ImageSize, describe_size, height_width
from i2i.core.contracts import Phase, Stream
from i2i.methods.cyclic import other
from i2i.methods.growth import Growth, GrowthStage, resize_and_fade, upsample
from i2i.methods.networks import network
from i2i.methods.outputs import detached, output
from i2i.methods.two_domains import check_discriminators, check_generator
from i2i_twingan.generator import Code


class TwinOutputs(i2i.GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's image translated to b.

    All images are in [0, 1] and have the current size of the networks.
    """

    translator: Twin

    @output(reuse="step")
    def real(self) -> dict[str, Tensor]:
        """Images of the batch at the current size, faded in as the networks are."""
        return {domain: self.translator.network_input(self.batch.streams[domain]) for domain in self.translator.domains}

    @output(reuse="step")
    def code(self) -> dict[str, Code]:
        """Latent and skips of each image, encoded with the norms of its own domain."""
        return {domain: self.translator.generator.encode(image, domain) for domain, image in self.real.items()}

    @property
    def latent(self) -> dict[str, Tensor]:
        """Features of each image, [B, C, 4, 4]."""
        return {domain: code.latent for domain, code in self.code.items()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Translated images ("prime" in the official implementation)."""
        return {domain: self.translator.generator.decode(self.code[other(domain)], domain) for domain in self.real}

    @output(reuse="step")
    def fake_latent(self) -> dict[str, Tensor]:
        """Features of each image's translation, [B, C, 4, 4], by the domain of the image."""
        encode = self.translator.generator.encode
        return {domain: encode(self.fake[other(domain)], other(domain)).latent for domain in self.real}

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images decoded in their own domain ("cycle" in the official implementation)."""
        return {domain: self.translator.generator.decode(code, domain) for domain, code in self.code.items()}

    @output(reuse="phase")
    def reconstruction_logits(self) -> dict[str, Tensor] | None:
        """Logits of the reconstructions; None below the size `reconstruction_gan_size`."""
        if self.translator.level.size < self.translator.reconstruction_gan_size:
            return None
        if not self.trains("discriminators"):
            return self._discriminate(self.reconstruction)
        _ = self.fake_logits  # spectral norm advances with each forward pass: real, fake, reconstruction
        return self._discriminate(detached(self.reconstruction))


class Twin(i2i.Translator):
    """One encoder and one generator for both domains, and discriminators for each, that grow from stage to stage.

    Each step trains one phase, alternating between discriminators and generator. Images are in [0, 1] inside, and in
    [-1, 1] outside as everywhere else.

    Args:
        generator: a generator with `encode` and `decode` for a domain, such as `twin_unet`.
        discriminators: by name; each is built once for each domain.
        stages: sizes and their numbers of steps; the last size is that of the data. One stage for no growing.
        reconstruction_gan_size: smallest size at which the output `reconstruction_logits` exists.
        fresh_optimizers: whether optimizers lose their state at the start of each stage, as in PGGAN.
        streams: specifications of the data's streams.

    Raises:
        OptionError: the stages do not double up to the data's size, or networks do not fit.

    Source: Li, arXiv:1809.00946.
    """

    Outputs = TwinOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        stages: tuple[GrowthStage, ...],
        reconstruction_gan_size: Annotated[int, Ge(1)] = 64,
        fresh_optimizers: bool = True,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        image_size = self.streams["a"].size or (stages[-1].size, stages[-1].size)
        self.check(generator, discriminators, stages, image_size)
        self.growth, self.image_size = Growth(stages), image_size[0]
        self.reconstruction_gan_size, self.fresh_optimizers = reconstruction_gan_size, fresh_optimizers
        channels = {domain: self.streams[domain].channels for domain in self.domains}
        if len(set(channels.values())) > 1:
            raise I2IError(f"both domains share their layers, so data.channels must be one number, got {channels}")
        sizes = {"image_size": self.image_size, "first_size": stages[0].size, "in_channels": channels["a"]}
        self.generator: Any = network(generator(**sizes))
        self.discriminators = nn.ModuleDict(
            {
                domain: nn.ModuleDict({name: network(build(**sizes)) for name, build in discriminators.items()})
                for domain in self.domains
            }
        )
        self.at_step_(0)

    @classmethod
    def check(
        cls,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        stages: tuple[GrowthStage, ...],
        image_size: ImageSize,
    ) -> None:
        """Refuse stages that do not double up to the data's size, and networks that do not fit."""
        check_generator(generator, ("encode", "decode", "grow_"), "twin_unet")
        check_discriminators(discriminators)
        Growth(stages)
        if height_width(stages[-1].size) != height_width(image_size):
            raise OptionError(
                "stages",
                f"expected the last stage to have the size of the data, {describe_size(image_size)}, "
                f"got {stages[-1].size}",
            )

    def active_phases(self, step: int) -> list[str]:
        """Return one phase; they alternate."""
        return [list(self.phases)[step % len(self.phases)]]

    def at_step_(self, step: int) -> None:
        """Set the size of the networks; their own `at_step_` count from the start of the stage."""
        self.level = self.growth.at(step)
        for module in self.modules():
            grow = getattr(module, "grow_", None)
            if grow is not None:
                grow(self.level.size, self.level.alpha)
        super().at_step_(self.level.since)

    def reset_optimizers(self, step: int) -> Iterable[str]:
        return self.phases if self.fresh_optimizers and step in self.growth.starts[1:] else ()

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return self.growth.structure_changes

    def network_input(self, image: Tensor) -> Tensor:
        """Return images [B, C, S, S] in [-1, 1] as the networks take them at this step: in [0, 1], of their size.

        In training, at most as many images as the stage allows are returned.
        """
        if self.training and self.level.batch:
            image = image[: self.level.batch]
        return resize_and_fade((image + 1) / 2, self.level.size, self.level.alpha)

    def encode(self, image: Tensor, domain: str) -> Tensor:
        """Return the latent [B, C, 4, 4] of a domain's images [B, C, S, S] in [-1, 1]; S is the size of the data.

        Latents can be compared within a domain and across both: see `i2i_twingan.search`.
        """
        latent: Tensor = self._encode(image, domain).latent
        return latent

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return GeneratorOutput(self._output_image(self.generator.decode(self._encode(image, other(to)), to)))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return input, reconstruction and translation."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images), "reconstruction": {}, "translation": {}}
        for source, image in images.items():
            code = self._encode(image, source)
            rows["reconstruction"][source] = self._output_image(self.generator.decode(code, source))
            rows["translation"][source] = self._output_image(self.generator.decode(code, other(source)))
        return rows

    def _encode(self, image: Tensor, domain: str) -> Code:
        if image.shape[-2:] != (self.image_size, self.image_size):
            size = self.image_size
            raise I2IError(f"this translator takes images of {size} x {size} pixels, got {list(image.shape)}")
        code: Code = self.generator.encode(self.network_input(image), domain)
        return code

    def _output_image(self, image: Tensor) -> Tensor:
        """Return the network's linear output in [-1, 1] and in the size of the data, also while networks grow."""
        image = 2 * image.clamp(0, 1) - 1
        while image.shape[-1] < self.image_size:
            image = upsample(image)
        return image
