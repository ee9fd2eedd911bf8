"""The one-sided translator: what it draws, mirrors, leaves out, and what it mixes with."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.core.kinds import DISCRIMINATOR, GENERATOR
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError, OptionError
from i2i.methods.assembly import build, dry_run
from i2i.methods.one_sided import OneSided
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 2,
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 4,
    "translator.taps": ["image", "down.0.conv", "blocks.0"],
    "translator.patches": 16,
    "translator.width": 8,
    "data.size": 32,
    "data.type": "portraits",
    "data.count": 4,
    "train.steps": 4,
}
SMALL = {"small": GENERATOR("resnet", channels=4, blocks=1)}


def tiny(recipe: str = "cut", **more: Any) -> Recipe:
    return Recipe.read(recipe, {**TINY, **more})


def images(count: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {domain: torch.rand(count, 3, 32, 32) * 2 - 1 for domain in "ab"}


def outputs(translator: OneSided, seed: int = 0) -> Any:
    return translator.start_phase(Batch(images(), seed), "generator")


def one_sided(**options: Any) -> OneSided:
    generator = GENERATOR("resnet", channels=4, blocks=2, init="default")
    discriminators = {"local": DISCRIMINATOR("patch", channels=4, layers=3)}
    options = {"taps": ("image", "blocks.0"), "patches": 16, "width": 8, **options}
    return OneSided(generator, discriminators, **options)


@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_recipes_take_two_steps(recipe: str) -> None:
    stepper = Stepper(tiny(recipe))
    before = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
    for _ in range(2):
        terms = stepper.step(images())
    identity = {"generator/nce_identity"} if recipe == "cut" else set()
    assert terms.keys() == {"discriminator/gan", "generator/gan", "generator/nce"} | identity
    assert all(math.isfinite(value) for value in terms.values())
    after = stepper.translator.state_dict()
    for part in ("generator.", "heads.", "discriminators."):
        assert all(not torch.equal(before[name], after[name]) for name in before if name.startswith(part)), part


def test_small_recipe_checks_and_steps() -> None:
    recipe = Recipe.read("cut_small")
    dry_run(recipe)
    assert math.isfinite(sum(Stepper(recipe).step(images()).values()))


def test_heads_exist_before_anything_is_seen() -> None:
    translator = build(tiny())
    heads = [name for name, _ in translator.named_parameters() if name.startswith("heads.")]
    assert heads[:2] == ["heads.mlps.0.first.weight", "heads.mlps.0.first.bias"]
    assert len(heads) == 3 * 4
    trained = {
        id(parameter) for name in translator.phases["generator"].modules for parameter in translator.trainable[name]
    }
    assert trained == {id(p) for name, p in translator.named_parameters() if name.startswith(("generator.", "heads."))}


def test_places_follow_from_the_seed() -> None:
    translator = one_sided()
    first, again, other = (translator.draw_places("fake", seed, [100, 9]) for seed in (1, 1, 2))
    assert [len(place) for place in first] == [16, 9]  # as many as there are
    assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert len(set(first[0].tolist())) == 16
    assert sorted(first[1].tolist()) == list(range(9))
    assert {translator.draw_flip(seed) for seed in range(20)} == {True, False}


def test_patches_of_both_sides_are_of_the_same_places() -> None:
    translator = one_sided(width=None)
    made = outputs(translator)
    places = translator.draw_places("fake", 0, [38 * 38, 8 * 8])
    translator.draw_places = lambda term, seed, pixels: places  # type: ignore[method-assign]
    source, generated = made.source_patches["b"], made.fake_patches["b"]
    for image, vectors in ((made.real["a"], source), (made.fake["b"], generated)):
        padded = torch.nn.functional.pad(image, (3, 3, 3, 3), mode="reflect").flatten(2)[:, :, places[0]].mT
        lengths = torch.linalg.vector_norm(padded, dim=2, keepdim=True) + 1e-7
        torch.testing.assert_close(vectors[0], padded / lengths)
    assert not any(key.requires_grad for key in source)
    assert all(query.requires_grad for query in generated)


def test_identity_pass_is_made_only_where_it_is_wanted() -> None:
    assert outputs(one_sided()).identity["b"].shape == (2, 3, 32, 32)
    without = outputs(one_sided(identity=False))
    assert without.identity == without.identity_patches == {}
    with pytest.raises(RecipeError, match="its inputs share no domain"):
        dry_run(tiny(**{"translator.identity": False}))


def test_joint_pass_gives_what_two_passes_give() -> None:
    translator = one_sided()
    made = outputs(translator)
    torch.testing.assert_close(made.fake["b"], translator.generate(made.real["a"]).image)
    torch.testing.assert_close(made.identity["b"], translator.generate(made.real["b"]).image)


@pytest.mark.parametrize("identity", [True, False])
def test_features_of_the_sources_are_not_computed_twice(identity: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = one_sided(identity=identity).double()
    batch = {domain: image.double() for domain, image in images().items()}
    looked: list[Tensor] = []
    features = translator.features
    monkeypatch.setattr(translator, "features", lambda image: looked.append(image) or features(image))

    def keys(plain: bool) -> list[Tensor]:
        looked.clear()
        with disable_optimizations(plain):
            made: Any = translator.start_phase(Batch(batch, 0), "generator")
            found = [*made.source_patches["b"], *(made.target_patches["b"] if identity else ())]
        assert len(looked) == (1 + identity) * (2 if plain else 1)
        return found

    torch.testing.assert_close(keys(plain=False), keys(plain=True), rtol=1e-12, atol=1e-12)


def test_mirrored_batches_are_mirrored_back_for_the_patches() -> None:
    translator = one_sided(flip_equivariance=True, identity=False).eval()
    translator.draw_flip = lambda seed: True  # type: ignore[method-assign]
    mirrored = outputs(translator)
    torch.testing.assert_close(mirrored.fake["b"], translator.generate(mirrored.real["a"].flip(3)).image)
    # If the fake were the mirrored source itself, each patch would lie exactly on its own key.
    vars(mirrored)["translation"] = {"b": mirrored.translation["b"]._replace(image=mirrored.real["a"].flip(3))}
    (query, _), (key, _) = mirrored.fake_patches["b"], mirrored.source_patches["b"]
    torch.testing.assert_close(query, key)


def test_flip_is_the_same_in_all_phases_of_a_step() -> None:
    translator = one_sided(flip_equivariance=True)
    for seed in range(6):
        batch = Batch(images(), seed, upcoming=())
        drawn = [translator.start_phase(batch, phase)._mirrored for phase in ("discriminator", "generator")]  # type: ignore[attr-defined]
        assert drawn[0] == drawn[1]


def test_without_taps_there_are_no_heads() -> None:
    translator = one_sided(taps=())
    assert not list(translator.heads.parameters())
    assert outputs(translator).fake_patches == {}


def test_unknown_taps_are_refused() -> None:
    with pytest.raises(OptionError, match=r"no layer 'blocks\.7'"):
        one_sided(taps=("blocks.7",))
    with pytest.raises(OptionError, match="expected at least one discriminator"):
        OneSided(SMALL["small"], {})


def test_translates_to_b_alone() -> None:
    translator = one_sided()
    image = images()["a"]
    assert translator.translate(image, "b").image.shape == image.shape
    with pytest.raises(I2IError, match="generates domain b only, got 'a'"):
        translator.translate(image, "a")
    rows = translator.preview(images())
    assert {caption: set(row) for caption, row in rows.items()} == {
        "input": {"a", "b"},
        "translation": {"a"},
        "identity": {"b"},
    }


MIXES: dict[str, dict[str, Any]] = {
    "adalin": {"translator.generator": {"type": "resnet_adalin", "channels": 4, "blocks": 1, "light": True}},
    "adalin, full": {"translator.generator": {"type": "resnet_adalin", "channels": 4, "blocks": 1}},
    "cam everywhere": {
        "translator.generator.attention": "cam",
        "translator.discriminators.local.attention": "cam",
        "losses.cam.type": "cam",
    },
    "batch norm": {"translator.generator.norm": "bn"},
    "numbered taps": {"translator.taps": [0, 4, 8, 12]},
    "no heads": {"translator.width": "none"},
    "negatives of the batch": {"losses.nce.negatives": "batch"},
    "hinge": {"losses.gan.type": "hinge"},
    "bf16": {"train.precision": "bf16"},
    "gradient penalty": {"losses.gan.type": "wgan_gp"},
    "r1": {"losses.r1.type": "r1"},
    "identity in pixels": {
        "losses.nce_identity.weight": 0,
        "losses.identity": {"type": "l1", "inputs": {"prediction": "identity", "target": "real"}},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("mix", MIXES)
def test_mixes_take_a_step(mix: str) -> None:
    settings = MIXES[mix]
    if "translator.generator" in settings:  # another generator than the recipe's has options of its own
        base = {key: value for key, value in TINY.items() if not key.startswith("translator.generator")}
        settings = {**settings, "translator.taps": ["image", "down.0.conv", "blocks.0"]}
        recipe = Recipe.read("cut", {**base, **settings})
    else:
        recipe = tiny(**settings)
    dry_run(recipe)
    terms = Stepper(recipe).step(images())
    assert all(math.isfinite(value) for value in terms.values())
