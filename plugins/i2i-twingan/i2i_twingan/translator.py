"""Two domains in one growing network: TwinGAN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor, nn

import i2i
from i2i import Discriminator, Factory, Generator, GeneratorOutput, I2IError, OptionError
from i2i.core.bounds import ImageSize, describe_size, height_width
from i2i.core.contracts import Phase, Stream
from i2i.methods.cyclic import other
from i2i.methods.networks import network
from i2i.methods.two_domains import check_discriminators, check_generator
from i2i_twingan.fading import double, shrunk
from i2i_twingan.growth import Growth, GrowthStage
from i2i_twingan.outputs import TwinOutputs


class Twin(i2i.Translator):
    """One encoder and one generator that both domains share, and discriminators for each, growing from stage to stage.

    A step trains one phase: first the discriminators, in the next step the generator, each on a batch of its own.
    Images are in [0, 1] in here; outside, as everywhere, in [-1, 1].

    Args:
        generator: must encode and decode for a domain, as `twin_unet` does.
        discriminators: by name, each built once for each domain.
        stages: sizes and their steps; the last size is that of the data. One stage for a run that does not grow.
        judged_from: size from which on reconstructions are judged too, if a loss asks for `reconstruction_logits`.
        fresh_optimizers: whether every stage begins with optimizers that remember nothing, as PGGAN does.

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
        judged_from: Annotated[int, Ge(1)] = 64,
        fresh_optimizers: bool = True,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        image_size = self.streams["a"].size or (stages[-1].size, stages[-1].size)
        self.check(generator, discriminators, stages, image_size)
        size, _ = image_size
        self.growth = Growth(stages)
        self.judged_from, self.fresh_optimizers, self.image_size = judged_from, fresh_optimizers, size
        sizes = {"image_size": size, "first_size": stages[0].size}
        self.generator = network(generator(**sizes))
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
        """Stages that double up to the data's size, a generator with a latent, and somebody to judge."""
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
        """The phases take turns."""
        return [list(self.phases)[step % len(self.phases)]]

    def at_step_(self, step: int) -> None:
        """Grows the networks; what else follows the step counts from the beginning of its stage."""
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

    def seen(self, image: Tensor) -> Tensor:
        """Images [B, 3, S, S] in [-1, 1] as the networks see them at this step; in training as many as it takes."""
        if self.training and self.level.batch:
            image = image[: self.level.batch]
        return shrunk((image + 1) / 2, self.level.size, self.level.alpha)

    def encode(self, image: Tensor, domain: str) -> Tensor:
        """The latent [B, C, 4, 4] of a domain's images [B, 3, S, S] in [-1, 1]; S is the size of the data.

        Its distances mean the same within a domain and across both: see `i2i_twingan.search`.
        """
        latent: Tensor = self.generator.encode(self._checked(image), domain).latent
        return latent

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        code = self.generator.encode(self._checked(image), other(to))
        return GeneratorOutput(self._shown(self.generator.decode(code, to)))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, reconstruction and translation."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        rows |= {"reconstruction": {}, "translation": {}}
        for source, image in images.items():
            code = self.generator.encode(self._checked(image), source)
            rows["reconstruction"][source] = self._shown(self.generator.decode(code, source))
            rows["translation"][source] = self._shown(self.generator.decode(code, other(source)))
        return rows

    def _checked(self, image: Tensor) -> Tensor:
        if image.shape[-2:] != (self.image_size, self.image_size):
            size = self.image_size
            raise I2IError(f"this translator takes images of {size} x {size} pixels, got {list(image.shape)}")
        return self.seen(image)

    def _shown(self, image: Tensor) -> Tensor:
        """The network's linear output as an image in [-1, 1], in the size of the data also while it still grows."""
        image = 2 * image.clamp(0, 1) - 1
        while image.shape[-1] < self.image_size:
            image = double(image)
        return image
