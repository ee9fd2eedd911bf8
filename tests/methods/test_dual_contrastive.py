"""DCLGAN and SimDCL: which heads see which images, the captured features, the similarity, and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.engine.stepper import Stepper
from i2i.errors import OptionError, ShapeError
from i2i.methods.assembly import build, dry_run
from i2i.methods.dual_contrastive import DualContrastive
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 2,
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 3,
    "translator.taps": ["down.0.conv", "blocks.0"],
    "translator.patches": 16,
    "translator.width": 8,
    "data.type": "shapes",
    "data.size": 32,
    "train.batch_size": 2,
    "train.steps": 400,
    "train.precision": "fp64",
}


def images(height: int = 32) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return {name: torch.rand(2, 3, height, 32, generator=draws, dtype=torch.float64) * 2 - 1 for name in "ab"}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["dclgan", "simdcl"])
def test_the_reference_path_computes_the_same_steps(name: str) -> None:
    """Features captured in the translation's forward, and joined batches, against separate forwards."""
    dry_run(Recipe.read(name, SMALL))
    optimized, reference = [Stepper(Recipe.read(name, {**SMALL, "train.reference": path})) for path in (False, True)]
    for _ in range(3):
        terms, expected = optimized.step(images()), reference.step(images())
        assert terms.keys() == expected.keys() >= {"discriminator/gan", "generator/nce", "generator/identity"}
        for key, value in terms.items():
            assert float(value) == pytest.approx(float(expected[key]), rel=1e-9), key


def test_heads_have_their_own_rate_and_simdcl_trains_its_mappings() -> None:
    rest, heads = Stepper(Recipe.read("dclgan", SMALL)).optimizers["generator"].param_groups
    assert (rest["lr"], heads["lr"], heads["betas"]) == (1e-4, 1e-3, (0.9, 0.999))
    translator = build(Recipe.read("simdcl", SMALL))
    assert len(translator.trainable["mappings"]) == 4 * 6
    assert "mappings" not in build(Recipe.read("dclgan", SMALL)).phases["generator"].modules


def test_an_image_is_encoded_by_the_generator_that_takes_its_domain() -> None:
    translator: Any = build(Recipe.read("dclgan", SMALL)).double()
    calls: list[str] = []
    for domain in "ab":
        translator.heads[domain].register_forward_hook(lambda *_, domain=domain: calls.append(domain))
    outputs = translator.start_phase(Batch(images()), "generator")
    queries, keys = outputs.fake_patches, outputs.source_patches
    assert sorted(calls) == ["a", "a", "b", "b"]  # each domain's heads: its real images, and its translations
    assert [tuple(tap.shape) for tap in queries["b"]] == [(2, 16, 8), (2, 16, 8)]
    assert all(tap.requires_grad for tap in queries["b"])
    assert not any(tap.requires_grad for tap in keys["b"])
    places = translator.draw_places("b", 1, [256, 64])
    assert [len(set(place.tolist())) for place in places] == [16, 16]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(OptionError, match="expected at least one layer of the generator"):
        DualContrastive.check((), {"local": None})  # type: ignore[dict-item]
    translator: Any = build(Recipe.read("simdcl", {**SMALL, "translator.patches": 100}))
    outputs = translator.start_phase(Batch({name: image.float() for name, image in images().items()}), "generator")
    with pytest.raises(ShapeError, match="expected equally many patches at all taps, got 100, 64"):
        _ = outputs.real_similarity
