"""One generator from a to b, held to its source by patches rather than by a way back: CUT, FastCUT."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Phase, Stream, TappedGenerator
from i2i.core.factory import Factory
from i2i.errors import I2IError, OptionError
from i2i.methods.networks import network
from i2i.methods.one_sided_outputs import OneSidedOutputs, Vectors
from i2i.methods.outputs import Outputs
from i2i.methods.translator import Translator
from i2i.methods.two_domains import build_discriminators, check_discriminators
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.projection import PatchHeads


class OneSided(Translator):
    """A generator from a to b and b's discriminators, trained on unpaired images.

    Args:
        generator: paints b from a.
        discriminators: by name; they judge b's images.
        taps: layers of the generator whose features are compared patch by patch, by name or number. Names mean the
            same layers however the generator halves and doubles; numbers count as in the official code, where blurs
            are layers too. None at all, and there are no heads.
        patches: places per image and tap, the same ones in all images of a batch.
        width: of the vectors that the heads make of each patch; None compares the features as they are.
        identity: b's images go through the generator too.
        flip_equivariance: half of the batches are translated mirrored, and their features mirrored back.

    Source: Park et al., ECCV 2020, arXiv:2007.15651; taesungp/contrastive-unpaired-translation b3ac297.
    """

    Outputs: ClassVar[type[Outputs]] = OneSidedOutputs
    phases: Mapping[str, Phase] = {
        "discriminator": Phase(("discriminators",)),
        "generator": Phase(("generator", "heads")),
    }
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        taps: tuple[int | str, ...] = ("image", "down.0.conv", "down.1.conv", "blocks.0", "blocks.4"),
        patches: Annotated[int, Ge(1)] = 256,
        width: Annotated[int, Ge(1)] | None = 256,
        identity: bool = True,
        flip_equivariance: bool = False,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.check(discriminators)
        self.taps, self.patches = taps, patches
        self.identity, self.flip_equivariance = identity, flip_equivariance
        self.generator = network(generator(**self.network_options("a", "b")))
        self.discriminators = build_discriminators(self, discriminators, ("b",))
        if taps and not hasattr(self.generator, "features"):
            raise OptionError(
                "taps", f"the generator {generator.name!r} gives no features; leave taps empty: taps = []"
            )
        # Made here, not when features are first seen: Accelerate and the optimizer must find them.
        self.heads = PatchHeads(self._tapped.tapped_channels(taps) if taps else (), width)

    @classmethod
    def check(cls, discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Somebody to judge."""
        check_discriminators(discriminators)

    def generate(self, image: Tensor) -> GeneratorOutput:
        """The generator's work on a batch."""
        return cast(GeneratorOutput, self.generator(image))

    def generate_with_features(self, image: Tensor) -> tuple[GeneratorOutput, Vectors | None]:
        """The generator's work on a batch, and its features at the taps, where they can be heard on the way."""
        listen = getattr(self.generator, "capture_features", None)
        compiled = self.generator._compiled_call_impl is not None  # its layers are not called one by one
        if listen is None or compiled or not optimizations_enabled():
            return self.generate(image), None
        with listen(image, self.taps) as captured:
            made = self.generate(image)
        return made, captured()

    def features(self, image: Tensor) -> Vectors:
        """The generator's features of a batch at the taps."""
        return self._tapped.features(image, self.taps)

    def draw_places(self, term: str, seed: int, pixels: Sequence[int]) -> Sequence[Tensor]:
        """Places of the patches: for each tap up to `patches` different pixels, [P].

        Args:
            term: what they are for, `fake` or `identity`.
            pixels: of each tap's feature map.
        """
        draws = torch.Generator().manual_seed(seed)
        return [torch.randperm(count, generator=draws)[: self.patches] for count in pixels]

    def draw_flip(self, seed: int) -> bool:
        """Whether a batch is mirrored."""
        return random.Random(seed).random() < 0.5

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        if to not in self.targets:
            raise I2IError(f"this translator generates domain b only, got {to!r}; train it with a and b exchanged")
        return self.generate(image)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, then heat map and image of the translation of a, and of b's images after the generator."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for caption, source in (("translation", "a"), ("identity", "b")):
            made = self.generate(images[source])
            if made.heatmap is not None:
                rows[f"{caption} heat map"] = {source: draw_heatmap(made.heatmap, images[source].shape[-2:])}
            rows[caption] = {source: made.image}
        return rows

    @property
    def _tapped(self) -> TappedGenerator:
        return cast(TappedGenerator, self.generator)
