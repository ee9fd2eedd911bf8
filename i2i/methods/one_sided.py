"""Unpaired translation from a to b with a patchwise contrastive loss instead of cycle consistency: CUT, FastCUT."""

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
from i2i.methods.drawing import drawn
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, TranslationOutputs, detached, output
from i2i.methods.translator import Translator
from i2i.methods.two_domains import build_discriminators, check_discriminators
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.projection import PatchHeads

Vectors = tuple[Tensor, ...]


class OneSidedOutputs(TranslationOutputs):
    """Outputs of domain b, which is the only one that is generated; `real` has both domains."""

    translator: OneSided

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """Output of the generator for images of a, which `flip_equivariance` mirrors in half of the steps."""
        return {"b": _rows(self._generated[0], self._of_a)}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """Output of the generator for images of b, which it should leave unchanged; empty without `identity`."""
        return {"b": _rows(self._generated[0], self._of_b)} if self.translator.identity else {}

    @property
    def fake_patches(self) -> dict[str, Vectors]:
        """Projected patches of the translation, [B, P, C] for each tap."""
        return {domain: queries for domain, (queries, _) in self._fake_pairs.items()}

    @property
    def source_patches(self) -> dict[str, Vectors]:
        """Projected patches of images of a at the same places, detached, [B, P, C] for each tap."""
        return {domain: keys for domain, (_, keys) in self._fake_pairs.items()}

    @property
    def identity_patches(self) -> dict[str, Vectors]:
        """Projected patches of the reproduction, [B, P, C] for each tap; empty without `identity`."""
        return {domain: queries for domain, (queries, _) in self._identity_pairs.items()}

    @property
    def target_patches(self) -> dict[str, Vectors]:
        """Projected patches of images of b at the same places, detached, [B, P, C] for each tap."""
        return {domain: keys for domain, (_, keys) in self._identity_pairs.items()}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image, for losses on their gradients."""
        return {"b": lambda image: self._discriminate({"b": image})}

    @property
    def real_for_discriminator(self) -> dict[str, Tensor]:
        """Real images of b: there are no discriminators of a."""
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
        """Output for images of a and, with `identity`, of b; and their features, None where images are mirrored."""
        # One forward pass takes both domains, as in the official implementation; batch norm would mix them.
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
        translator = self.translator
        places = drawn(
            self.batch, lambda seed: translator.draw_places(term, seed_of(seed, "places", term), pixels), source
        )
        detached_keys: Vectors = detached(self.translator.heads(keys, places))
        pairs = {}
        for domain, image in generated.items():
            queries = self.translator.features(image)
            # The keys come from images that are not mirrored, so the features of the translation are mirrored back.
            queries = tuple(feature.flip(3) for feature in queries) if self._mirrored else queries
            pairs[domain] = (cast(Vectors, self.translator.heads(queries, places)), detached_keys)
        return pairs


class OneSided(Translator):
    """Translator from a to b with one generator and discriminators of b, trained on unpaired images.

    Args:
        generator: factory of the generator, which translates images of a to b.
        discriminators: factories of the discriminators of b, by name.
        taps: layers of the generator whose features are compared patch by patch, by name or index. Names do not depend
            on how the generator resizes; indices count layers as in the official implementation, where antialiasing
            filters are layers too. Without taps there are no projection heads.
        patches: number of patches per image and tap; all images of a batch use the same places.
        width: number of features of a projected patch; None compares the generator's features without projection.
        identity: whether the generator is also applied to images of b.
        flip_equivariance: whether each batch is mirrored with probability one half before translation; its features
            are mirrored back.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

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
            raise OptionError("taps", f"the generator {generator.name!r} has no features; set taps = []")
        # The official implementation creates the heads at the first forward pass; here the optimizer needs them before.
        self.heads = PatchHeads(self._tapped.tapped_channels(taps) if taps else (), width)

    @classmethod
    def check(cls, discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Check the options before networks are built.

        Raises:
            OptionError: `discriminators` is not valid.
        """
        check_discriminators(discriminators)

    def generate(self, image: Tensor) -> GeneratorOutput:
        """Return the output of the generator for images [B, C, H, W]."""
        return cast(GeneratorOutput, self.generator(image))

    def generate_with_features(self, image: Tensor) -> tuple[GeneratorOutput, Vectors | None]:
        """Return the output of the generator for images [B, C, H, W], and its features at the taps.

        The features are None where one forward pass cannot return both; `features` then computes them separately.
        """
        capture_features = getattr(self.generator, "capture_features", None)
        compiled = self.generator._compiled_call_impl is not None  # compiled layers do not run their forward hooks
        if capture_features is None or compiled or not optimizations_enabled():
            return self.generate(image), None
        with capture_features(image, self.taps) as captured:
            generated = self.generate(image)
        return generated, captured()

    def features(self, image: Tensor) -> Vectors:
        """Return the features [B, C, h, w] of the generator at each tap, for images [B, C, H, W]."""
        return self._tapped.features(image, self.taps)

    def draw_places(self, term: str, seed: int, pixels: Sequence[int]) -> Sequence[Tensor]:
        """Draw the places of patches: for each tap the indices [P] of up to `patches` different pixels.

        Args:
            term: purpose of the patches, `fake` or `identity`; for subclasses and tests that replace the places.
            seed: seed that already depends on the term.
            pixels: number of pixels h * w of the features at each tap.
        """
        draws = torch.Generator().manual_seed(seed)
        return [torch.randperm(count, generator=draws)[: self.patches] for count in pixels]

    def draw_flip(self, seed: int) -> bool:
        """Return whether to mirror a batch, with probability one half."""
        return random.Random(seed).random() < 0.5

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        if to not in self.targets:
            raise I2IError(f"this translator generates domain b only, got {to!r}; train it with a and b exchanged")
        return self.generate(image)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, then heat map and image of the translation of a and of the reproduction of b."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for caption, source in (("translation", "a"), ("identity", "b")):
            generated = self.generate(images[source])
            if generated.heatmap is not None:
                rows[f"{caption} heat map"] = {source: draw_heatmap(generated.heatmap, images[source].shape[-2:])}
            rows[caption] = {source: generated.image}
        return rows

    @property
    def _tapped(self) -> TappedGenerator:
        return cast(TappedGenerator, self.generator)


def _rows(generated: GeneratorOutput, rows: slice) -> GeneratorOutput:
    """Return the output for some samples of a batch."""
    return GeneratorOutput(*(None if value is None else value[rows] for value in generated))  # type: ignore[arg-type]
