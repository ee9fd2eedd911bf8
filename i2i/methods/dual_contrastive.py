"""Unpaired translation in both directions with a patchwise contrastive loss: DCLGAN, SimDCL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from i2i.core.contracts import Discriminator, Generator, GeneratorOutput, Phase, Stream, TappedGenerator
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import OptionError, ShapeError
from i2i.methods.cyclic import halves, other
from i2i.methods.drawing import drawn
from i2i.methods.outputs import Outputs, TranslationOutputs, detached, output
from i2i.methods.two_domains import TwoDomains, check_discriminators
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.independence import is_batch_independent
from i2i.nn.layers.initialization import initialize
from i2i.nn.layers.projection import EPS, PatchHeads

Vectors = tuple[Tensor, ...]


class DualContrastiveOutputs(TranslationOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` are images of domain a translated to b.

    Each image is encoded by the generator that takes images of its domain, a translation thus by the other generator
    than the one that generated it.
    """

    translator: DualContrastive

    @output(reuse="step")
    def translation(self) -> dict[str, GeneratorOutput]:
        """Output of each generator for images of the other domain."""
        return {domain: translation for domain, (translation, _, _) in self._generated.items()}

    @output(reuse="step")
    def reproduction(self) -> dict[str, GeneratorOutput]:
        """Output of each generator for images of its own domain; empty if no loss asks for it."""
        return {domain: own for domain, (_, own, _) in self._generated.items() if own is not None}

    @property
    def fake_patches(self) -> dict[str, Vectors]:
        """Projected patches of the translations, [B, P, C] for each tap."""
        return {domain: queries for domain, (queries, _) in self._pairs.items()}

    @property
    def source_patches(self) -> dict[str, Vectors]:
        """Projected patches of the inputs of the translations at the same places, detached, [B, P, C] for each tap."""
        return {domain: cast(Vectors, detached(keys)) for domain, (_, keys) in self._pairs.items()}

    @property
    def real_similarity(self) -> dict[str, Tensor]:
        """Unit vectors [B, n] of each domain's real images, from all of their patches; empty without `similarity`."""
        return {
            domain: self.translator.map_vectors(self._pairs[other(domain)][1], domain, "real")
            for domain in self.translator.mappings
        }

    @output(reuse="phase")
    def fake_similarity(self) -> dict[str, Tensor]:
        """The same of each domain's translations, from patches at places of their own; empty without `similarity`."""
        vectors = {}
        for domain in self.translator.mappings:
            features = self._fake_features[domain]
            patches = self.translator.project(features, domain, self._places(f"similarity/{domain}", features))
            vectors[domain] = self.translator.map_vectors(patches, domain, "fake")
        return vectors

    @output(reuse="step")
    def _generated(self) -> dict[str, tuple[GeneratorOutput, GeneratorOutput | None, Vectors | None]]:
        """By generator: translation, reproduction where a loss asks for it, and features of the input if captured."""
        same_shape = len({image.shape for image in self.real.values()}) == 1
        joined = same_shape and optimizations_enabled() and is_batch_independent(self.translator.generators)
        reproduces = self.is_needed("identity", "reproduction")
        generated: dict[str, tuple[GeneratorOutput, GeneratorOutput | None, Vectors | None]] = {}
        for domain, own in self.real.items():
            source, generate = self.real[other(domain)], self.translator.generate_with_features
            if reproduces and joined:
                both, captured = generate(torch.cat([source, own]), domain)
                features = captured and tuple(feature[: len(source)] for feature in captured)
                generated[domain] = (*halves(both), features)
            else:
                reproduction = self.translator.generate(own, domain) if reproduces else None
                translation, features = generate(source, domain)
                generated[domain] = (translation, reproduction, features)
        return generated

    @output(reuse="phase")
    def _fake_features(self) -> dict[str, Vectors]:
        return {domain: self.translator.features(image, domain) for domain, image in self.fake.items()}

    @output(reuse="phase")
    def _pairs(self) -> dict[str, tuple[Vectors, Vectors]]:
        """Projected patches of each translation and of its input, both with their graph."""
        pairs = {}
        for domain in self.real:
            source, captured = other(domain), self._generated[domain][2]
            keys = self.translator.features(self.real[source], source) if captured is None else captured
            places = self._places(domain, keys)
            queries = self.translator.project(self._fake_features[domain], domain, places)
            pairs[domain] = queries, self.translator.project(keys, source, places)
        return pairs

    def _places(self, term: str, features: Vectors) -> list[Tensor]:
        pixels = [feature.shape[2] * feature.shape[3] for feature in features]
        translator = self.translator
        return drawn(
            self.batch, lambda seed: translator.draw_places(term, seed_of(seed, "places", term), pixels), features[0]
        )


class PatchMapping(nn.Module):
    """Map the projected patches of all taps to one unit vector (SimDCL).

    The patches of a tap are the rows of an image whose channels are the taps: a 3x3 convolution of stride 2, the mean
    over all places, and two linear layers.

    Args:
        taps: number of taps.
        channels: length of the vector, and of all hidden layers.

    Source: Han et al., arXiv:2104.07689, section 3.4; JunlinHan/DCLGAN abb805c, `MappingF`.
    """

    def __init__(self, taps: int, channels: int = 64) -> None:
        super().__init__()
        self.conv = nn.Conv2d(taps, channels, 3, stride=2)
        self.first = nn.Linear(channels, channels)
        self.second = nn.Linear(channels, channels)
        initialize(self, "xavier")

    def forward(self, patches: Sequence[Tensor]) -> Tensor:
        """Return unit vectors [B, channels] of patches [B, P, C], one tensor for each tap, with at least 3 patches.

        Raises:
            ShapeError: the taps differ in their number of patches.
        """
        if len({vectors.shape for vectors in patches}) != 1:
            counts = ", ".join(str(vectors.shape[1]) for vectors in patches)
            raise ShapeError(
                f"similarity: expected equally many patches at all taps, got {counts}: the smallest features have "
                "fewer pixels than translator.patches"
            )
        x: Tensor = self.conv(torch.stack(list(patches), dim=1)).relu().mean((2, 3))
        x = self.second(self.first(x).relu())
        return cast(Tensor, x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPS))


class DualContrastive(TwoDomains):
    """Translator between two domains whose translations must resemble their inputs patch by patch, trained unpaired.

    The patches of an image are features of the generator that takes images of its domain, projected by heads of that
    domain: two embeddings, one for each domain. There is no cycle consistency.

    Args:
        generator: factory of the generators; `generators.b` translates images of a to b.
        discriminators: factories of the discriminators by name; each is built once for each domain.
        taps: layers of the generators whose features are compared, by name or index; see `one_sided`. The paper leaves
            out CUT's first one, the image.
        patches: number of patches per image and tap; all images of a batch use the same places.
        width: number of features of a projected patch.
        similarity: length of the vectors that SimDCL compares between real images and translations of a domain, from
            networks of their own; None for DCLGAN, which has none.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Source: Han et al., CVPR Workshops 2021, arXiv:2104.07689; JunlinHan/DCLGAN abb805c.
    """

    Outputs: ClassVar[type[Outputs]] = DualContrastiveOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        taps: tuple[int | str, ...] = ("down.0.conv", "down.1.conv", "blocks.0", "blocks.4"),
        patches: Annotated[int, Ge(1)] = 256,
        width: Annotated[int, Ge(1)] = 256,
        similarity: Annotated[int, Ge(1)] | None = None,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(taps, discriminators)
        super().__init__(generator, discriminators, streams)
        self.taps, self.patches = taps, patches
        if not hasattr(self.generators["a"], "features"):
            raise OptionError("generator", f"{generator.name!r} has no features, whose patches could be compared")
        # The heads of a domain project features of the generator that takes its images.
        self.heads = nn.ModuleDict(
            {domain: PatchHeads(self._taking(domain).tapped_channels(taps), width) for domain in self.domains}
        )
        self.mappings = nn.ModuleDict()
        if similarity is not None:
            for domain in self.domains:
                kinds = {kind: PatchMapping(len(taps), similarity) for kind in ("real", "fake")}
                self.mappings[domain] = nn.ModuleDict(kinds)
        trained = ("generators", "heads", *(("mappings",) if self.mappings else ()))
        self.phases = {"discriminator": Phase(("discriminators",)), "generator": Phase(trained)}

    @classmethod
    def check(cls, taps: tuple[int | str, ...], discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Check the options before networks are built.

        Raises:
            OptionError: there are no taps, or `discriminators` is not valid.
        """
        if not taps:
            raise OptionError("taps", "expected at least one layer of the generator, got none")
        check_discriminators(discriminators)

    def generate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Return the output of the generator of domain `to` for images [B, C, H, W]."""
        return cast(GeneratorOutput, self.generators[to](image))

    def generate_with_features(self, image: Tensor, to: str) -> tuple[GeneratorOutput, Vectors | None]:
        """Return the output of the generator of domain `to`, and its features at the taps for images [B, C, H, W].

        The features are None where one forward pass cannot return both; `features` then computes them separately.
        """
        generator = self.generators[to]
        capture_features = getattr(generator, "capture_features", None)
        compiled = generator._compiled_call_impl is not None  # compiled layers do not run their forward hooks
        if capture_features is None or compiled or not optimizations_enabled():
            return self.generate(image, to), None
        with capture_features(image, self.taps) as captured:
            generated = self.generate(image, to)
        return generated, captured()

    def features(self, image: Tensor, domain: str) -> Vectors:
        """Return the features [B, C, h, w] at each tap for images [B, C, H, W] of a domain."""
        return self._taking(domain).features(image, self.taps)

    def project(self, features: Vectors, domain: str, places: Sequence[Tensor]) -> Vectors:
        """Return the unit vectors [B, P, C] of patches of images of a domain; see `PatchHeads`."""
        return cast(Vectors, self.heads[domain](features, places))

    def map_vectors(self, patches: Vectors, domain: str, kind: str) -> Tensor:
        """Return the unit vectors [B, n] of the patches of a domain's `real` or `fake` images; see `PatchMapping`."""
        return cast(Tensor, cast(nn.ModuleDict, self.mappings[domain])[kind](patches))

    def draw_places(self, term: str, seed: int, pixels: Sequence[int]) -> Sequence[Tensor]:
        """Draw the places of patches: for each tap the indices [P] of up to `patches` different pixels.

        Args:
            term: the domain of the translation, or `similarity/` and that domain; for subclasses and tests that replace
                the places.
            seed: seed that already depends on the term.
            pixels: number of pixels h * w of the features at each tap.
        """
        draws = torch.Generator().manual_seed(seed)
        return [torch.randperm(count, generator=draws)[: self.patches] for count in pixels]

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return self.generate(image, to)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, translation and identity of both domains."""
        return {
            "input": dict(images),
            "translation": {source: self.generate(image, other(source)).image for source, image in images.items()},
            "identity": {source: self.generate(image, source).image for source, image in images.items()},
        }

    def _taking(self, domain: str) -> TappedGenerator:
        """Return the generator that takes images of a domain."""
        return cast(TappedGenerator, self.generators[other(domain)])
