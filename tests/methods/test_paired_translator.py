"""The paired translator: what exists, in which order it is judged, and legal mixes with other components."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine.hooks.samples import grid
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.methods.networks import image_constraints
from i2i.methods.paired import Paired
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.levels": 5,
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 4,
    "data.type": "portrait_pairs",
    "data.size": 32,
    "train.steps": 4,
}


def steps_of(recipe: Recipe, count: int = 2, batch: int = 2) -> tuple[Stepper, list[dict[str, Tensor]]]:
    dry_run(recipe)
    stepper = Stepper(recipe)
    generator = torch.Generator().manual_seed(0)
    images = {domain: torch.rand(batch, 3, 32, 32, generator=generator) * 2 - 1 for domain in "ab"}
    before = {name: value.clone() for name, value in stepper.translator.named_parameters()}
    terms = [stepper.step(images) for _ in range(count)]
    assert all(torch.isfinite(value) for step in terms for value in step.values())
    still = [name for name, value in stepper.translator.named_parameters() if torch.equal(value, before[name])]
    assert not [name for name in still if not name.endswith("final.bias")]  # which a critic's difference cancels
    return stepper, terms


@pytest.mark.thorough
def test_recipe_takes_steps() -> None:
    _, terms = steps_of(Recipe.read("pix2pix", TINY))
    assert terms[0].keys() == {"discriminator/gan", "generator/gan", "generator/l1"}
    small = {name: value for name, value in TINY.items() if not name.startswith("data")}
    steps_of(Recipe.read("pix2pix_small", small))


def test_the_discriminator_sees_fake_real_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.read("pix2pix", {**TINY, "translator.source": "b"})
    stepper = Stepper(recipe)
    assert isinstance(stepper.translator, Paired)
    seen: list[Tensor] = []
    discriminator = stepper.translator.discriminators["local"]
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    images = {domain: torch.rand(1, 3, 32, 32) * 2 - 1 for domain in "ab"}
    stepper.step(images)
    assert len(seen) == 3
    assert all(torch.equal(pair[:, :3], images["b"]) for pair in seen)  # the input comes first
    assert torch.equal(seen[1][:, 3:], images["a"])
    assert torch.equal(seen[0], seen[2])  # the fake of the discriminator's phase is used again
    assert not torch.equal(seen[0], seen[1])


def test_one_direction_only() -> None:
    translator = build(Recipe.read("pix2pix", {**TINY, "translator.source": "b"}))
    assert translator.targets == ("a",)
    with pytest.raises(
        I2IError, match="this translator generates domain a only, got 'b'; train it with the other source"
    ):
        translator.translate(torch.zeros(1, 3, 32, 32), "b")


def test_preview_translates_one_image_at_a_time() -> None:
    settings = {**TINY, "translator.generator.dropout_at_inference": False}
    translator = build(Recipe.read("pix2pix", settings)).eval()
    images = {domain: torch.rand(3, 3, 32, 32) * 2 - 1 for domain in "ab"}
    rows = translator.preview(images)
    assert list(rows) == ["input", "translation", "truth"]
    assert torch.equal(rows["translation"]["a"][1:2], translator.translate(images["a"][1:2], "b").image)
    assert torch.equal(rows["truth"]["a"], images["b"])
    flat = {f"{caption} · {domain}": made.detach() for caption, by in rows.items() for domain, made in by.items()}
    assert grid(flat).height > 3 * 32
    unmixed = build(Recipe.read("pix2pix", {**settings, "translator.generator.norm": "in"}))
    assert not image_constraints(unmixed).batch_dependent


def test_unconditional_discriminator() -> None:
    recipe = Recipe.read("pix2pix", {**TINY, "translator.conditional": False})
    steps_of(recipe)
    channels = [build(Recipe.read("pix2pix", {**TINY, "translator.conditional": value})) for value in (True, False)]
    assert [one.discriminators["local"].in_channels for one in channels] == [6, 3]


def test_checks() -> None:
    with pytest.raises(
        RecipeError, match="8 levels need images whose sides are multiples of 256, got 32 px; at most 5"
    ):
        Recipe.read("pix2pix", {**TINY, "translator.generator.levels": 8})
    with pytest.raises(RecipeError, match="expected each of discriminator, generator once"):
        Recipe.read("pix2pix", {**TINY, "translator.order": ["generator"]})


CAM = {"translator.generator.attention": "cam", "translator.discriminators.local.attention": "cam"}


@pytest.mark.parametrize("mix", [
    {**CAM, "losses.cam": {"type": "cam", "weight": 10}},
    {"translator.generator": {"type": "resnet", "channels": 4, "blocks": 1}},
    {"translator.discriminators.local": {"type": "pixel", "channels": 4, "in_channels": 6}},
    {"losses.gan.type": "lsgan", "losses.r1": {"type": "r1", "weight": 1}},
    {"losses.gan": {"type": "wgan_gp"}},
    {"losses.gan.type": "hinge", "translator.generator.norm": {"type": "ln"}},
])  # fmt: skip
def test_mixes(mix: dict[str, Any]) -> None:
    settings = dict(TINY)
    for table in ("translator.generator", "translator.discriminators.local"):
        if table in mix:
            settings = {name: value for name, value in settings.items() if not name.startswith(f"{table}.")}
    stepper, terms = steps_of(Recipe.read("pix2pix", {**settings, **mix}))
    if "losses.cam" in mix:
        assert "generator/cam" in terms[0]
        rows = stepper.translator.eval().preview({domain: torch.rand(2, 3, 32, 32) for domain in "ab"})
        assert rows["heat map"]["a"].shape == (2, 3, 32, 32)


@pytest.mark.thorough
def test_cyclegan_with_ssim_and_r1() -> None:
    settings = {
        "translator.generator.channels": 4,
        "translator.generator.blocks": 1,
        "translator.discriminators.local.channels": 4,
        "losses.cycle.type": "ssim",
        "losses.cycle.weight": 10,
        "losses.cycle.inputs": {"prediction": "cycle", "target": "real"},
        "losses.r1": {"type": "r1", "gamma": 1, "weight": 1},
        "data.size": 32,
        "train.steps": 4,
    }
    _, terms = steps_of(Recipe.read("cyclegan", settings))
    assert {"discriminator/r1", "generator/cycle"} <= terms[0].keys()


def test_a_run_of_pairs_from_files(tmp_path: Path) -> None:
    from i2i.data.images import to_image
    from i2i.engine.trainer import train

    folder = tmp_path / "pairs"
    folder.mkdir()
    for index in range(3):
        halves = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(index)) * 2 - 1
        to_image(halves).save(folder / f"{index}.png")
    files = {"data.type": "paired", "data.root": str(folder), "data.load_size": 36, "train.workers": 0}
    settings = {**TINY, **files, "train.steps": 2, "train.sample_every": 2, "train.sample_count": 2}
    run = train(Recipe.read("pix2pix", settings), tmp_path / "run")
    assert run.step == 2
    assert (tmp_path / "run" / "checkpoints" / "step-0000002").is_dir()
