"""What exists for a batch that is translated one way, with patches of what came and went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from i2i.core.contracts import GeneratorOutput
from i2i.core.randomness import seed_of
from i2i.methods.outputs import TranslationOutputs, detached, output
from i2i.nn.functional.precision import to_like

if TYPE_CHECKING:
    from i2i.methods.one_sided import OneSided

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


def _rows(made: GeneratorOutput, rows: slice) -> GeneratorOutput:
    """Some samples of a batch."""
    return GeneratorOutput(*(None if value is None else value[rows] for value in made))  # type: ignore[arg-type]
