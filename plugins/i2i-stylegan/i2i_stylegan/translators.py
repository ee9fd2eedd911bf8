"""The translator `gan`, which generates images from noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Phase, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import I2IError, OptionError
from i2i.methods.growth import Growth, GrowthStage, Level, resize_and_fade
from i2i.methods.networks import network
from i2i.methods.two_domains import check_discriminators
from i2i_stylegan.outputs import IMAGE, GANOutputs

PREVIEW_SEED = 2**40
"""Seed of the first image of the sample grid."""


class GAN(i2i.Translator):
    """Generates images from noise, and from a class where the data has classes.

    Discriminators are trained first. Each phase draws new latent codes.

    Args:
        generator: factory of the generator, of latent codes and classes.
        discriminators: factories of the discriminators, by name.
        conditional: whether images are generated for classes, which the data names in its stream `label`.
        fake_labels: classes that images are generated for in training: `data` draws among the classes of the batch,
            so that each is as frequent as in the data, `uniform` draws each equally often.
        stages: sizes and their numbers of steps, for generators and discriminators that grow; the last size is that of
            the data. None for networks of one size.
        fresh_optimizers: whether optimizers lose their state at the start of each stage.
        joint_batches: whether discriminators are trained on generated and real images as one batch, in one pass:
            spectral norm iterates once, and statistics of a batch are those of both.
        streams: specification of each stream of the data, by name.

    Source: Goodfellow et al., arXiv:1406.2661; Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, for the stages.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = GANOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generator",))}
    # Each phase generates images of its own, so none is kept for another phase.
    generator_modules: ClassVar[tuple[str, ...]] = ()
    domains: tuple[str, ...] = (IMAGE,)
    required_streams: ClassVar[Mapping[str, str]] = {IMAGE: "image"}
    label_stream: ClassVar[str] = "label"
    label_role: ClassVar[str] = "label"

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        conditional: bool = False,
        fake_labels: Literal["data", "uniform"] = "data",
        stages: tuple[GrowthStage, ...] = (),
        fresh_optimizers: bool = True,
        joint_batches: bool = False,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.check(discriminators)
        self.joint_batches = joint_batches
        self.conditional, self.uniform_labels = conditional, fake_labels == "uniform"
        self.growth = Growth(stages) if stages else None
        self.fresh_optimizers = fresh_optimizers
        options = self.network_options(IMAGE, IMAGE)
        options.pop("num_classes", None)
        self.num_classes = 0
        if conditional:
            name = self.label_stream
            self.required_streams = {IMAGE: "image", name: self.label_role}
            self.num_classes = self.streams[name].channels if name in self.streams else 0
            if not self.num_classes:
                raise OptionError(
                    "conditional", f"needs data with a stream {name!r} of known classes; this data has none"
                )
            options["num_classes"] = self.num_classes
        if stages:
            options["first_size"] = stages[0].size
            size = options.get("image_size", stages[-1].size)
            if size not in (stages[-1].size, (stages[-1].size, stages[-1].size)):
                raise OptionError(
                    "stages", f"expected the last stage to have the size of the data, got {stages[-1].size}"
                )
        self.generator: Any = network(generator(**options))
        self.discriminators = nn.ModuleDict({name: network(build(**options)) for name, build in discriminators.items()})
        self.image_size = options.get("image_size")
        self.level: Level | None = None
        if self.growth:
            self.at_step_(0)

    @classmethod
    def check(cls, discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Check the options before networks are built."""
        check_discriminators(discriminators)

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator",)

    @property
    def targets(self) -> tuple[str, ...]:
        return ()

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        return cast("Mapping[str, Discriminator]", self.discriminators)

    def at_step_(self, step: int) -> None:
        """Set the size of growing networks."""
        if self.growth is not None:
            self.level = self.growth.at(step)
            for module in self.modules():
                grow = getattr(module, "grow_", None)
                if grow is not None:
                    grow(self.level.size, self.level.alpha)
        super().at_step_(step)

    def reset_optimizers(self, step: int) -> Iterable[str]:
        fresh = self.growth is not None and self.fresh_optimizers and step in self.growth.starts[1:]
        return [name for name, phase in self.phases.items() if phase.optimizer is None] if fresh else ()

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return (0,) if self.growth is None else self.growth.structure_changes

    def network_input(self, image: Tensor) -> Tensor:
        """Return real images at the size of the networks, faded in as generated ones are, and repeated to full size."""
        if self.level is None:
            return image
        if self.level.batch:
            image = image[: self.level.batch]
        return self.full_size(resize_and_fade(image, self.level.size, self.level.alpha))

    def full_size(self, image: Tensor) -> Tensor:
        """Repeat the pixels of images of growing networks up to the size of the data."""
        factor = 1 if self.growth is None else self.growth.stages[-1].size // image.shape[-1]
        return image if factor == 1 else image.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    def one_hot(self, labels: Tensor, like: Tensor) -> Tensor:
        """Return one-hot classes [B, num_classes] of labels [B]; rows of numbers are taken as they are."""
        labels = labels[: len(like)]
        if labels.is_floating_point():
            return labels.to(like.device, like.dtype)
        return F.one_hot(labels, self.num_classes).to(like.device, like.dtype)

    def draw_labels(self, labels: Tensor, seed: int) -> Tensor:
        """Draw the classes of generated images: among those of a batch, or each equally often."""
        draws = torch.Generator().manual_seed(seed)
        if self.uniform_labels:
            return torch.randint(self.num_classes, (len(labels),), generator=draws, device="cpu").to(labels.device)
        chosen = torch.randint(len(labels), (len(labels),), generator=draws, device="cpu")
        return labels[chosen.to(labels.device)]

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        raise I2IError("this translator generates images from noise and translates none; use sample")

    def latents(self, seeds: Iterable[int], classes: Iterable[int] | None = None) -> tuple[Tensor, Tensor | None]:
        """Return latent codes [B, z_dim], one for each seed, and one-hot classes [B, num_classes].

        Args:
            seeds: each gives the same code on all devices.
            classes: their numbers; seed s gets number s modulo how many there are. All of them when None.

        Raises:
            I2IError: no such class, or classes for a translator without.
        """
        seeds = list(seeds)
        like = next(self.generator.parameters())
        numbers = [torch.Generator().manual_seed(seed_of(seed, "latent")) for seed in seeds]
        size = self.generator.z_dim
        z = torch.stack([torch.randn(size, generator=draws, device="cpu", dtype=torch.float64) for draws in numbers])
        chosen = list(range(self.num_classes)) if classes is None else list(classes)
        if classes is not None and not self.conditional:
            raise I2IError("classes: this translator generates images without classes")
        wrong = [number for number in chosen if not 0 <= number < self.num_classes]
        if wrong and self.conditional:
            raise I2IError(f"classes: expected numbers from 0 to {self.num_classes - 1}, got {wrong[0]}")
        c = None
        if self.conditional:
            labels = torch.tensor([chosen[seed % len(chosen)] for seed in seeds])
            c = F.one_hot(labels, self.num_classes).to(like.device, like.dtype)
        return z.to(like.device, like.dtype), c

    def generate(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] for latent codes and one-hot classes."""
        image: Tensor = self.generator(z, c)
        return self.output_image(image)

    def output_image(self, image: Tensor) -> Tensor:
        """Return the networks' output clamped to [-1, 1], in the size of the data also while networks grow."""
        return self.full_size(image.clamp(-1, 1))

    def sample(self, seeds: Iterable[int], classes: tuple[int, ...] | None = None) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of the latent codes.
            classes: numbers of the classes, in turn by seed; all of them when None.
        """
        return self.generate(*self.latents(seeds, classes))

    @property
    def has_noise_maps(self) -> bool:
        """Whether images depend on stored noise maps."""
        return False

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`.
            noise: for generators with noise maps.

        Returns:
            inputs: `latent` [B, z_dim], normal random numbers, and one-hot `classes` [B, num_classes] if there are any.
        """
        z, c = self.latents(seeds)
        return {"latent": z} if c is None else {"latent": z, "classes": c}

    def sample_from(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] of latent codes and one-hot classes."""
        return self.generate(latent, classes)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return real images, and as many generated ones, from the same latent codes each time."""
        real = images[IMAGE]
        fake = self.sample(range(PREVIEW_SEED, PREVIEW_SEED + len(real)))
        return {"real": {IMAGE: real}, "generated": {IMAGE: fake}}
