"""One generator from a to b, held to its source by patches rather than by a way back: CUT, FastCUT."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from i2i.contracts import Discriminator, Generator, TappedGenerator, Translation
from i2i.errors import I2IError, OptionError
from i2i.factory import Factory
from i2i.functional.heatmap import draw_heatmap
from i2i.layers.projection import PatchHeads
from i2i.randomness import seed_of
from i2i.translators.outputs import GANOutputs, Outputs, detached, per_phase
from i2i.translators.translator import Translator

Vectors = tuple[Tensor, ...]


class OneSidedOutputs(GANOutputs):
    """Outputs of domain b, which is the only one that is painted; `real` has both."""

    nets: OneSided

    @cached_property
    def translation(self) -> dict[str, Translation]:
        """The generator on a's images, mirrored where `flip_equivariance` says so."""
        return {"b": _rows(self._painted, slice(0, len(self.real["a"])))}

    @cached_property
    def reproduction(self) -> dict[str, Translation]:
        """The generator on b's images, which it should leave as they are; nothing without `identity`."""
        return {"b": _rows(self._painted, slice(len(self.real["a"]), None))} if self.nets.identity else {}

    @property
    def fake(self) -> dict[str, Tensor]:
        """Translated images."""
        return {domain: made.image for domain, made in self.translation.items()}

    @property
    def identity(self) -> dict[str, Tensor]:
        """b's images after the generator."""
        return {domain: made.image for domain, made in self.reproduction.items()}

    @property
    def fake_cam(self) -> dict[str, Tensor]:
        """The generator's classifier on a's images; nothing where it has no attention."""
        return {domain: made.cam for domain, made in self.translation.items() if made.cam is not None}

    @property
    def identity_cam(self) -> dict[str, Tensor]:
        """The generator's classifier on b's images; nothing where it has no attention."""
        return {domain: made.cam for domain, made in self.reproduction.items() if made.cam is not None}

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
    def judge(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions, for losses that look at their gradients."""
        return {"b": lambda image: self._judge({"b": image})}

    @per_phase
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of b's images, by `b/discriminator/head`."""
        return self._judge({"b": self.real["b"]})

    @cached_property
    def _mirrored(self) -> bool:
        return self.nets.flip_equivariance and self.nets.draw_flip(seed_of(self.batch.seed, "flip"))

    @cached_property
    def _painted(self) -> Translation:
        # a and b go through the generator together, which only matters where it has batch statistics.
        images = torch.cat([self.real["a"], self.real["b"]]) if self.nets.identity else self.real["a"]
        return self.nets.paint(images.flip(3) if self._mirrored else images)

    @per_phase
    def _fake_pairs(self) -> dict[str, tuple[Vectors, Vectors]]:
        return self._pairs("fake", self.fake, self.real["a"])

    @per_phase
    def _identity_pairs(self) -> dict[str, tuple[Vectors, Vectors]]:
        return self._pairs("identity", self.identity, self.real["b"])

    def _pairs(
        self, term: str, painted: Mapping[str, Tensor], source: Tensor
    ) -> dict[str, tuple[Vectors, Vectors]]:
        if not self.nets.taps:
            return {}
        keys = self.nets.features(source)
        pixels = [feature.shape[2] * feature.shape[3] for feature in keys]
        drawn = self.nets.draw_places(term, seed_of(self.batch.seed, "places", term), pixels)
        places = [place.to(source.device) for place in drawn]
        detached_keys: Vectors = detached(self.nets.heads(keys, places))
        found = {}
        for domain, image in painted.items():
            queries = self.nets.features(image)
            # A mirrored translation's features are mirrored back: they must fit the source as it is.
            queries = tuple(feature.flip(3) for feature in queries) if self._mirrored else queries
            found[domain] = (cast(Vectors, self.nets.heads(queries, places)), detached_keys)
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
    phases: Mapping[str, tuple[str, ...]] = {
        "discriminator": ("discriminators",),
        "generator": ("generator", "heads"),
    }
    makers: ClassVar[tuple[str, ...]] = ("generator",)

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        taps: tuple[int | str, ...] = ("image", "down.0.conv", "down.1.conv", "blocks.0", "blocks.4"),
        patches: Annotated[int, Ge(1)] = 256,
        width: Annotated[int, Ge(1)] | None = 256,
        identity: bool = True,
        flip_equivariance: bool = False,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.check(discriminators)
        self.taps, self.patches = taps, patches
        self.identity, self.flip_equivariance = identity, flip_equivariance
        self.generator = _module(generator(image_size=image_size))
        self.discriminators = nn.ModuleDict(
            {"b": nn.ModuleDict({name: _module(build(image_size=image_size)) for name, build in discriminators.items()})}
        )
        if taps and not hasattr(self.generator, "features"):
            raise OptionError("taps", f"the generator {generator.name!r} gives no features; leave taps empty: taps = []")
        # Made here, not when features are first seen: Accelerate and the optimizer must find them.
        self.heads = PatchHeads(self._tapped.tapped_channels(taps) if taps else (), width)

    @classmethod
    def check(cls, discriminators: dict[str, Factory[Discriminator]]) -> None:
        """Somebody to judge."""
        if not discriminators:
            raise OptionError("discriminators", "expected at least one discriminator, got none")

    def paint(self, image: Tensor) -> Translation:
        """The generator's work on a batch."""
        return cast(Translation, self.generator(image))

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

    def translate(self, image: Tensor, to: str) -> Translation:
        if to != "b":
            raise I2IError(f"this translator paints domain b alone, got {to!r}; train it with a and b exchanged for that")
        return self.paint(image)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, then heat map and image of the translation of a, and of b's images after the generator."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for caption, source in (("translation", "a"), ("identity", "b")):
            made = self.paint(images[source])
            if made.heatmap is not None:
                rows[f"{caption} heat map"] = {source: draw_heatmap(made.heatmap, images[source].shape[-2:])}
            rows[caption] = {source: made.image}
        return rows

    @property
    def fixed_size(self) -> int | None:
        size: int | None = getattr(self.generator, "fixed_size", None)
        return size

    @property
    def multiple(self) -> int:
        return int(getattr(self.generator, "multiple", 1))

    @property
    def _tapped(self) -> TappedGenerator:
        return cast(TappedGenerator, self.generator)


def _rows(made: Translation, rows: slice) -> Translation:
    """Some samples of a batch."""
    return Translation(*(None if value is None else value[rows] for value in made))  # type: ignore[arg-type]


def _module(component: object) -> nn.Module:
    if not isinstance(component, nn.Module):
        raise OptionError("type", f"expected a network (torch.nn.Module), got {type(component).__name__}")
    return component
