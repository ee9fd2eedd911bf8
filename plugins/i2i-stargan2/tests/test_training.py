"""The recipe trains, resumes exactly and translates to each of three domains, of drawings and of folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import i2i
from i2i.cli import run
from i2i.data.images import to_image
from i2i.demo.shape_domains import ShapeDomains
from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

DOMAINS = ("anime", "photo", "sketch")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three domains in the layout train/NAME and test/NAME, of different numbers of images."""
    root = tmp_path_factory.mktemp("art")
    drawn = ShapeDomains(size=16).preview(5)
    for index, (name, images) in enumerate(zip(DOMAINS, drawn.values(), strict=True)):
        for number, image in enumerate(images[: 3 + index]):
            for part in ("train", "test") if number < 2 else ("train",):
                path = root / part / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                to_image(image).resize((20, 18)).save(path)
    return root


def on_folders(tiny: dict[str, Any], root: Path) -> dict[str, Any]:
    return {**tiny, "data": {"type": "domains", "root": str(root), "domains": list(DOMAINS), "size": 16}}


def test_full_size_recipes_pass_the_dry_run() -> None:
    recipe = Recipe.read("stargan2", {"train.batch_size": 2})
    dry_run(recipe)
    assert recipe.weight_schedules == ["losses.diversity: weight 2 to 0 over 100,000 steps"]
    dry_run(Recipe.read("stargan2_small"))


def test_three_domains_train_resume_and_translate(tmp_path: Path, tiny: dict[str, Any], folders: Path) -> None:
    settings = on_folders(tiny, folders)
    whole = train(Recipe.read("stargan2", settings), tmp_path / "whole")
    half = train(Recipe.read("stargan2", {**settings, "train.steps": 2}), tmp_path / "run")
    resumed = train(Recipe.read("stargan2", settings), tmp_path / "run", checkpoint.find(half.folder))
    state = resumed.translator.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.translator.state_dict().items())
    assert resumed.translator.domains == DOMAINS
    rows = resumed.translator.preview(resumed.dataset.preview(2))
    assert list(rows) == ["input", *(f"{domain} {kind}" for domain in DOMAINS for kind in ("latent", "reference"))]
    assert all(column.keys() == {*DOMAINS} for column in rows.values())
    photo = folders / "test" / "photo" / "0.png"
    for domain in DOMAINS:
        styles = {"latent": ["--style", "2"], "reference": ["--style", str(folders / "test" / domain / "1.png")]}
        for name, style in styles.items():
            output = tmp_path / domain / name
            command = ["translate", str(tmp_path / "run"), str(photo), "--to", domain, "--output", str(output), *style]
            assert run(command) == 0
            files = sorted(output.glob("*.png"))
            assert len(files) == (2 if name == "latent" else 1)
            assert all(min(Image.open(file).size) == 16 for file in files)
    loaded = i2i.load(tmp_path / "run", device="cpu")
    with pytest.raises(i2i.I2IError, match="has no domain 'b'; domains: anime, photo, sketch"):
        loaded.translate(photo)
    small = loaded.translate(torch.zeros(1, 3, 9, 24), "sketch")
    assert small.shape == (1, 3, 9, 24)


def test_every_parameter_trains_and_each_phase_its_own(tiny: dict[str, Any]) -> None:
    stepper = i2i.Stepper(Recipe.read("stargan2", {**tiny, "train.batch_size": 6}))
    dataset = ShapeDomains(size=16)
    samples = [dataset[number] for number in range(6)]
    batch = {name: torch.stack([sample[name] for sample in samples]) for name in stepper.translator.required_streams}  # type: ignore[misc]
    before = {name: value.clone() for name, value in stepper.translator.named_parameters()}
    terms = stepper.step(batch)
    assert list(terms) == [
        *(f"{phase}/{loss}" for phase in ("discriminator", "discriminator_reference") for loss in ("gan", "r1")),
        *(
            f"{phase}/{loss}"
            for phase in ("generator", "generator_reference")
            for loss in ("gan", "style", "diversity", "cycle")
        ),
    ]
    still = [name for name, value in stepper.translator.named_parameters() if torch.equal(value, before[name])]
    assert [name for name in still if not name.endswith("bias")] == []


def test_the_diversity_loss_ends_with_its_weight(tiny: dict[str, Any]) -> None:
    stepper = i2i.Stepper(Recipe.read("stargan2", {**tiny, "losses.diversity.weight.over": 1}))
    dataset = ShapeDomains(size=16)
    batch = {name: value[None] for name, value in dataset[0].items() if isinstance(value, torch.Tensor)}
    assert "generator/diversity" in stepper.step(batch)
    assert "generator/diversity" not in stepper.step(batch)


def test_high_pass_weights_translate_and_are_not_trained(tiny: dict[str, Any]) -> None:
    settings = {**tiny, "translator.generator.w_hpf": 1.0, "data.size": 32}
    with pytest.raises(RecipeError, match="w_hpf > 0 needs masks of faces"):
        dry_run(Recipe.read("stargan2", settings))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"data.size": 24}, "expected a power of two from 16 on, got 24"),
        ({"data.domains": ["square"]}, "expected the names of at least two domains"),
        ({"data.domains": ["square", "square"]}, "'square' occurs twice"),
        ({"translator.generator.width": 8}, "expected at least the image's side, 16, got 8"),
    ],
)
def test_what_cannot_be_trained_gets_a_sentence(tiny: dict[str, Any], setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dry_run(Recipe.read("stargan2", {**tiny, **setting}))
