"""One generator from a to b, held to its source by patches rather than by a way back: CUT, FastCUT."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, cast

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Phase, Stream, TappedGenerator
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import I2IError, OptionError
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, TranslationOutputs, detached, output
from i2i.methods.translator import Translator
from i2i.methods.two_domains import build_discriminators, check_discriminators
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.precision import to_like
from i2i.nn.layers.projection import PatchHeads

Vectors = tuple[Tensor, ...]


class OneSidedOutputs(TranslationOutputs):
    """Outputs of domain b, which is the only one that is painted; `real` has both."""

    translator: OneSided

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """The generator on a's images, mirrored where `flip_equivariance` says so."""
        return {"b": _rows(self._generated[0], self._of_a)}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """The generator on b's images, which it should leave as they are; nothing without `identity`."""
        return {"b": _rows(self._generated[0], self._of_b)} if self.translator.identity else {}

    @property
    def fake_patches(self) -> dict[str, Vectors]:
        """Patches of the translation, [B, P, C] for each tap."""
        return {domain: queries for domain, (queries, _) in self._fake_pairs.items()}

    @property
    def source_patches(self) -> dict[str, Vectors]:
        """Patches of a's images at the same places, detached."""
        return {domain: keys for domain, (_, keys) in self._fake_pairs.items()}

    @property
    def identity_patches(self) -> dict[str, Vectors]:
        """Patches of b's images after the generator, [B, P, C] for each tap; nothing without `identity`."""
        return {domain: queries for domain, (queries, _) in self._identity_pairs.items()}

    @property
    def target_patches(self) -> dict[str, Vectors]:
        """Patches of b's images at the same places, detached."""
        return {domain: keys for domain, (_, keys) in self._identity_pairs.items()}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions, for losses that look at their gradients."""
        return {"b": lambda image: self._discriminate({"b": image})}

    @property
    def real_for_discriminator(self) -> dict[str, Tensor]:
        """b's images alone are judged."""
        return {"b": self.real["b"]}

    @output(reuse="step")
    def _mirrored(self) -> bool:
        return self.translator.flip_equivariance and self.translator.draw_flip(seed_of(self.batch.seed, "flip"))

    @property
    def _of_a(self) -> slice:
        return slice(0, len(self.real["a"]))

    @property
    def _of_b(self) -> slice:
        return slice(len(self.real["a"]), None)

    @output(reuse="step")
    def _generated(self) -> tuple[GeneratorOutput, Vectors | None]:
        """All images painted; and their features, unless those of images the other way round are wanted."""
        # a and b go through the generator together, which only matters where it has batch statistics.
        images = torch.cat([self.real["a"], self.real["b"]]) if self.translator.identity else self.real["a"]
        if self._mirrored:
            return self.translator.generate(images.flip(3)), None
        return self.translator.generate_with_features(images)

    @output(reuse="phase")
    def _fake_pairs(self) -> dict[str, tuple[Vectors, Vectors]]:
        return self._pairs("fake", self.fake, self.real["a"], self._of_a)

    @output(reuse="phase")
    def _identity_pairs(self) -> dict[str, tuple[Vectors, Vectors]]:
        return self._pairs("identity", self.identity, self.real["b"], self._of_b)

    def _pairs(
        self, term: str, generated: Mapping[str, Tensor], source: Tensor, rows: slice
    ) -> dict[str, tuple[Vectors, Vectors]]:
        if not self.translator.taps:
            return {}
        captured = self._generated[1]
        keys = (
            self.translator.features(source)
            if captured is None
            else tuple(feature[rows].detach() for feature in captured)
        )
        pixels = [feature.shape[2] * feature.shape[3] for feature in keys]
        drawn = self.translator.draw_places(term, seed_of(self.batch.seed, "places", term), pixels)
        places = [to_like(place, source) for place in drawn]
        detached_keys: Vectors = detached(self.translator.heads(keys, places))
        found = {}
        for domain, image in generated.items():
            queries = self.translator.features(image)
            # A mirrored translation's features are mirrored back: they must fit the source as it is.
            queries = tuple(feature.flip(3) for feature in queries) if self._mirrored else queries
            found[domain] = (cast(Vectors, self.translator.heads(queries, places)), detached_keys)
        return found


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


def _rows(made: GeneratorOutput, rows: slice) -> GeneratorOutput:
    """Some samples of a batch."""
    return GeneratorOutput(*(None if value is None else value[rows] for value in made))  # type: ignore[arg-type]
