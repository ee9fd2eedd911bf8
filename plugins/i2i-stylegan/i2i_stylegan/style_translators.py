"""The translators `stylegan`, with style mixing, and `stylegan2`, with lazy phases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Annotated, ClassVar, Literal, cast

import torch
from annotated_types import Ge, Le
from torch import Tensor

import i2i
from i2i.core.bounds import finite
from i2i.core.contracts import Discriminator, Generator, Phase, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import OptionError
from i2i.methods.growth import GrowthStage
from i2i_stylegan.layers import NoiseMode
from i2i_stylegan.mapping import truncate
from i2i_stylegan.outputs import StyleGAN2Outputs, StyleOutputs
from i2i_stylegan.translators import GAN

Probability = Annotated[float, Ge(0), Le(1)]


class StyleGAN(GAN):
    """Generates images from style vectors: a GAN whose generator has a mapping and a synthesis network.

    Args:
        generator: factory of the generator, with `mapping` and `synthesis`.
        discriminators: factories of the discriminators, by name.
        conditional: whether images are generated for classes, which the data names in its stream `label`.
        fake_labels: see `gan`.
        style_mixing: probability that the layers from a random one on take their style vectors from a second code.
        stages: see `gan`.
        fresh_optimizers: see `gan`.
        streams: specification of each stream of the data, by name.

    Source: Karras et al., StyleGAN, CVPR 2019, arXiv:1812.04948.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = StyleOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        conditional: bool = False,
        fake_labels: Literal["data", "uniform"] = "data",
        style_mixing: Probability = 0.9,
        stages: tuple[GrowthStage, ...] = (),
        fresh_optimizers: bool = True,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, discriminators, conditional, fake_labels, stages, fresh_optimizers, streams=streams)
        self.style_mixing = style_mixing
        for name in ("mapping", "synthesis"):
            if not hasattr(self.generator, name):
                raise OptionError("generator", f"expected one with a {name} network, such as stylegan2")

    @property
    def mixable_layers(self) -> int:
        """Number of layers that images of the current size have."""
        active: int = getattr(self.generator, "active_ws", self.generator.num_ws)
        return active

    def mixing_cutoff(self, layers: int, seed: int) -> int:
        """Draw the first layer of the second style: from 1 on with probability `style_mixing`, otherwise `layers`."""
        draws = Random(seed)
        cutoff = draws.randrange(1, layers)
        return cutoff if draws.random() < self.style_mixing else layers

    def styles(self, seeds: Iterable[int], classes: tuple[int, ...] | None = None, truncation: float = 1.0) -> Tensor:
        """Return style vectors [B, num_ws, w_dim], one row for each seed.

        Args:
            seeds: of the latent codes.
            classes: numbers of the classes, in turn by seed.
            truncation: distance from the average style that is kept; any finite number.
        """
        ws: Tensor = self.generator.mapping(*self.latents(seeds, classes))
        return truncate(ws, self.generator.mapping.w_avg, finite("truncation", truncation))

    def path_pairs(
        self, seeds: Iterable[int], epsilon: float, classes: tuple[int, ...] | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Return images [2, B, C, H, W] of two near places between the styles of two codes, for each seed.

        Args:
            seeds: of the codes and places.
            epsilon: distance of both places, as a share of the way between the codes.
            classes: numbers of the classes, in turn by seed.
            truncation: distance from the average style that is kept.

        Source: perceptual path length: Karras et al., StyleGAN, CVPR 2019, arXiv:1812.04948, section 4.1.
        """
        chosen = list(range(self.num_classes)) if classes is None else list(classes)
        pairs = []
        for seed in seeds:
            one = (chosen[seed % len(chosen)],) if chosen else None  # both codes have the same class
            ends = [self.styles([seed_of(seed, name)], one, truncation) for name in ("start", "end")]
            place = torch.rand(1, generator=torch.Generator().manual_seed(seed_of(seed, "place"))).to(ends[0])
            pairs.append(torch.cat([ends[0].lerp(ends[1], share) for share in (place, place + epsilon)]))
        return torch.stack([self.synthesize(ws) for ws in torch.stack(pairs, 1)])

    def synthesize(self, ws: Tensor, noise: NoiseMode = "const") -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] for style vectors [B, num_ws, w_dim]."""
        return self.output_image(self.generator.synthesis(ws, noise))

    def sample(
        self,
        seeds: Iterable[int],
        classes: tuple[int, ...] | None = None,
        truncation: float = 1.0,
        noise: NoiseMode = "const",
    ) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of the latent codes.
            classes: numbers of the classes, in turn by seed; all of them when None.
            truncation: distance from the average style that is kept: 1 for all variety, 0 for the average image.
            noise: `const` for the stored noise maps, `none`, or `random`.
        """
        return self.synthesize(self.styles(seeds, classes, truncation), noise)

    @property
    def noise_sizes(self) -> list[int]:
        """Sides of the noise maps, from the smallest on; growing networks use those of the current size."""
        maps = [getattr(module, "noise_const", None) for module in self.generator.synthesis.modules()]
        largest = math.inf if self.level is None else self.level.size
        return [len(one) for one in maps if one is not None and len(one) <= largest]

    @property
    def has_noise_maps(self) -> bool:
        """Whether images depend on stored noise maps."""
        return bool(self.noise_sizes)

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`.
            noise: add the noise maps.

        Returns:
            inputs: `latent` [B, z_dim], one-hot `classes` [B, num_classes] if there are any, `truncation` [1], and
                `noise` [B, N], normal random numbers: the rows of all maps, from the smallest on.
        """
        inputs = super().sample_inputs(seeds)
        latent = inputs["latent"]
        inputs["truncation"] = latent.new_ones(1)
        if noise:
            count = sum(side**2 for side in self.noise_sizes)
            draws = [torch.Generator().manual_seed(seed_of(seed, "noise")) for seed in seeds]
            inputs["noise"] = torch.stack([torch.randn(count, generator=one, device="cpu") for one in draws]).to(latent)
        return inputs

    def truncated(self, latent: Tensor, truncation: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return style vectors [B, num_ws, w_dim] of latent codes, drawn to their mean by a truncation [1]."""
        average = self.generator.mapping.w_avg
        return cast(Tensor, average + truncation * (self.generator.mapping(latent, classes) - average))

    def sample_from(  # type: ignore[override]  # styles have more inputs
        self, latent: Tensor, truncation: Tensor, classes: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] of such inputs; the stored noise maps are used without `noise`."""
        ws = self.truncated(latent, truncation, classes)
        if noise is None:
            return self.synthesize(ws)
        sides = self.noise_sizes
        planes = noise.split([side**2 for side in sides], 1)
        maps = [plane.unflatten(1, (1, side, side)) for plane, side in zip(planes, sides, strict=True)]
        return self.output_image(self.generator.synthesis(ws, maps))


class StyleGAN2(StyleGAN):
    """StyleGAN with lazy regularization: every few steps one more phase of a network, with the network's optimizer.

    The phases of a step are `generator`, `generator_regularization`, `discriminator`, `discriminator_regularization`.
    A phase of regularization without a loss is omitted.

    Args:
        generator: factory of the generator, with `mapping` and `synthesis`.
        discriminators: factories of the discriminators, by name.
        conditional: whether images are generated for classes, which the data names in its stream `label`.
        fake_labels: see `gan`.
        style_mixing: probability that the layers from a random one on take their style vectors from a second code.
        generator_interval: number of steps between two phases of the generator's regularization.
        discriminator_interval: number of steps between two phases of the discriminators' regularization.
        path_length_shrink: divisor of the batch size for the lengths of paths.
        streams: specification of each stream of the data, by name.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, section 3.1; NVlabs/stylegan2-ada-pytorch d72cc7d.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = StyleGAN2Outputs
    phases: Mapping[str, Phase] = {
        "generator": Phase(("generator",)),
        "generator_regularization": Phase(("generator",), every=4, optimizer="generator"),
        "discriminator": Phase(("discriminators",)),
        "discriminator_regularization": Phase(("discriminators",), every=16, optimizer="discriminator"),
    }

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        conditional: bool = False,
        fake_labels: Literal["data", "uniform"] = "data",
        style_mixing: Probability = 0.9,
        generator_interval: Annotated[int, Ge(1)] = 4,
        discriminator_interval: Annotated[int, Ge(1)] = 16,
        path_length_shrink: Annotated[int, Ge(1)] = 2,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, discriminators, conditional, fake_labels, style_mixing, streams=streams)
        self.path_length_shrink = path_length_shrink
        intervals = {
            "generator_regularization": generator_interval,
            "discriminator_regularization": discriminator_interval,
        }
        self.phases = {
            name: Phase(phase.modules, intervals.get(name, 1), phase.optimizer)
            for name, phase in type(self).phases.items()
        }

    def active_phases(self, step: int) -> list[str]:
        playing = {call.phase for calls in self.calls.values() for call in calls}
        return [name for name in super().active_phases(step) if name in playing]
