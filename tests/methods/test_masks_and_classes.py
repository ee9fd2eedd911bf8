"""Losses weighted by masks, generators and discriminators with conditions, and the recipes that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from i2i.cli import run as run_command
from i2i.core.contracts import Batch
from i2i.core.kinds import DISCRIMINATOR, GENERATOR
from i2i.data.checked import CheckedDataset
from i2i.data.loader import collate
from i2i.engine import checkpoint
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import I2IError, ShapeError
from i2i.methods.assembly import build, dry_run
from i2i.nn.functional.masking import masked_mean
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.loaded import load

SMALL: dict[str, Any] = {
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 3,
    "data.size": 32,
    "train.batch_size": 2,
    "train.steps": 2,
    "train.workers": 0,
    "train.sample_every": 0,
    "train.checkpoint_every": 1,
    "train.log_every": 1,
}
CYCLIC: dict[str, Any] = {**SMALL, "translator.generator.channels": 4, "translator.generator.blocks": 1}
UNET: dict[str, Any] = {"channels": 4, "levels": 4}


def batch_of(recipe: Recipe, count: int = 2) -> dict[str, Tensor]:
    dataset = recipe.data(seed=0)
    checked = CheckedDataset(dataset, recipe.data.name, dataset.streams)
    return {name: value for name, value in collate([checked[n] for n in range(count)]).items() if name != "skipped"}


def test_a_masked_mean_is_linear_in_the_mask() -> None:
    draws = torch.Generator().manual_seed(0)
    values, mask = torch.rand(2, 3, 8, 8, generator=draws), torch.rand(2, 1, 8, 8, generator=draws)
    assert torch.allclose(masked_mean(values, mask) + masked_mean(values, 1 - mask), values.mean())
    assert masked_mean(values, torch.ones(2, 1, 8, 8)) == values.mean()
    assert torch.allclose(masked_mean(values[:, :, ::2, ::2], torch.ones(2, 1, 8, 8)), values[:, :, ::2, ::2].mean())
    with pytest.raises(ShapeError, match=r"expected a value for every pixel, \[2, C, h, w\]"):
        masked_mean(torch.zeros(2, 5), mask)


@pytest.mark.parametrize("type_", ["l1", "torch.nn.SmoothL1Loss", "torch.nn.MSELoss"])
def test_a_mask_weights_a_loss_of_any_origin(type_: str) -> None:
    names = {"prediction": "fake", "target": "source"} if type_ == "l1" else {"input": "fake", "target": "source"}
    background = {"type": type_, "inputs": names, "mask": "source_background", "weight": 10}
    recipe = Recipe.read("cyclegan_masked_small", {**CYCLIC, "losses.background": background})
    translator, batch = build(recipe), Batch(batch_of(recipe))
    values = translator.loss_values(batch, "generator")["background"]
    criterion = translator.losses["background"]
    assert values.keys() == {"a", "b"}
    for domain, source in (("a", "b"), ("b", "a")):
        fake, real = batch.outputs.fake[domain], batch.streams[source]
        every: Tensor = criterion(fake, real)
        assert every.shape == fake.shape
        expected = (every * (1 - batch.streams[f"mask_{source}"])).mean()
        assert torch.allclose(values[domain], expected)


def test_logits_are_weighted_by_the_mask_at_their_size() -> None:
    recipe = Recipe.read("cyclegan_masked_small", {**CYCLIC, "losses.gan.mask": "source_mask"})
    translator, batch = build(recipe), Batch(batch_of(recipe))
    values = translator.loss_values(batch, "generator")["gan"]
    logits = translator.discriminators_of("b")["local"](batch.outputs.fake["b"]).logits["patch"]
    mask = nn.functional.adaptive_avg_pool2d(batch.streams["mask_a"], logits.shape[-2:])
    assert torch.allclose(values["b/local/patch"], ((logits - 1).square() * mask).mean())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"losses.cycle.mask": "maks"}, r"losses\.cycle\.mask: no output 'maks'\. Did you mean 'mask'"),
        (
            {
                "losses.extra": {
                    "type": "ssim",
                    "inputs": {"prediction": "fake", "target": "source"},
                    "mask": "source_mask",
                }
            },
            r"losses\.extra\.mask: 'ssim' cannot be weighted by a mask",
        ),
        (
            {"losses.cycle.mask": "mask", "losses.cycle.reduction": "mean"},
            r"losses\.cycle\.reduction: cannot be set next to a mask",
        ),
        (
            {"losses.background.mask": "source_mask", "data": {"type": "shapes", "size": 32}},
            r"losses\.background: source_mask has no mask for a, b; the data have no mask",
        ),
    ],
)
def test_masks_that_cannot_be_get_a_sentence(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dry_run(Recipe.read("cyclegan_masked_small", {**CYCLIC, **setting}))


@pytest.mark.thorough
def test_the_background_stays_in_a_masked_recipe(tmp_path: Path) -> None:
    settings = {**CYCLIC, "train.steps": 4, "train.checkpoint_every": 2}
    whole = train(Recipe.read("cyclegan_masked_small", settings), tmp_path / "whole")
    half = train(Recipe.read("cyclegan_masked_small", {**settings, "train.steps": 2}), tmp_path / "run")
    again = train(Recipe.read("cyclegan_masked_small", settings), tmp_path / "run", checkpoint.find(half.folder))
    state = again.translator.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.translator.state_dict().items())
    # The recipe for real images takes them with their opacity.
    for domain in "AB":
        (tmp_path / f"train{domain}").mkdir()
        Image.new("RGBA", (40, 40), (200, 30, 20, 128)).save(tmp_path / f"train{domain}" / "0.png")
    real = Recipe.read("cyclegan_masked", {**CYCLIC, "data.root": str(tmp_path), "train.steps": 1})
    assert "background" in "".join(Stepper(real).step(batch_of(real)))


def test_label_concat_and_projection_use_the_condition() -> None:
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 32, 32, generator=draws)
    classes = torch.eye(3)[:2]
    label_map = nn.functional.one_hot(torch.randint(0, 3, (2, 32, 32), generator=draws), 3).movedim(-1, 1).float()
    inner = GENERATOR("unet", **UNET)
    networks: list[Any] = [
        GENERATOR("label_concat", generator=inner)(num_classes=3, in_channels=3, out_channels=1, image_size=(32, 32)),
        DISCRIMINATOR("label_concat", discriminator=DISCRIMINATOR("patch", channels=4, layers=3))(num_classes=3),
        DISCRIMINATOR("projection_patch", channels=4, layers=3)(num_classes=3),
    ]
    for network in networks:
        network.eval()
        for condition in (classes, label_map):
            first, second = (only_output(network, image, one) for one in (condition, condition.roll(1, 1)))
            assert first.shape == second.shape
            assert not torch.allclose(first, second)
        only_output(network.train(), image, classes).sum().backward()
        unused = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert [name for name in unused if "bias" not in name] == []
    patch = networks[2]
    with torch.no_grad():
        same = patch(image, label_map).logits["patch"] - patch.final(features(patch, image))
        planes = nn.functional.adaptive_avg_pool2d(label_map, features(patch, image).shape[-2:])
        inner_product = torch.einsum(
            "bnhw,cn,bchw->bhw", planes, patch.embedding.weight[..., 0, 0], features(patch, image)
        )
        assert torch.allclose(same, nn.functional.avg_pool2d(inner_product[:, None], 2, 1), atol=1e-5)
    with pytest.raises(ShapeError, match="expected a class or a label map next to the image"):
        patch(image)


def only_output(network: Any, image: Tensor, condition: Tensor) -> Tensor:
    """The one output of a generator or a discriminator."""
    output = network(image, condition)
    result: Tensor = output.image if hasattr(output, "image") else output.logits["patch"]
    return result


def features(network: Any, image: Tensor) -> Tensor:
    for block in network.blocks:
        image = block(image)
    return image


@pytest.mark.parametrize("conditional", ["true", "projection"])
def test_label_maps_become_photos(tmp_path: Path, conditional: str) -> None:
    (tmp_path / "train").mkdir()
    palette = [(255, 0, 0), (0, 255, 0)]
    for number, color in enumerate(palette * 2):
        both = Image.new("RGB", (80, 40), (90, 20 * number, 30))
        both.paste(Image.new("RGB", (40, 40), color), (40, 0))
        both.save(tmp_path / "train" / f"{number}.png")
    settings = {
        **SMALL,
        "translator.generator": {"type": "unet", **UNET},
        "translator.conditional": True if conditional == "true" else "projection",
        "data.root": str(tmp_path),
        "data.colors": ["#ff0000", "#00ff00"],
        "data.tolerance": 0,
    }
    if conditional == "projection":
        settings["translator.discriminators.local.type"] = "projection_patch"
    recipe = Recipe.read("pix2pix_labels", settings)
    run = train(recipe, tmp_path / "run")
    assert recipe.streams["b"].colors == tuple(palette)
    first = next(run.translator.generator.parameters())
    assert first.shape[1] == 2
    rows = run.translator.preview(run.dataset.preview(2))
    assert torch.allclose(rows["input"]["b"][0, :, 0, 0], torch.tensor([1.0, -1.0, -1.0]))
    assert rows["translation"]["b"].shape == (2, 3, 32, 32)
    translated = load(tmp_path / "run", "cpu").translate(Image.new("RGB", (64, 64), palette[1]), "a")
    assert translated.size == (32, 32)
    with pytest.raises(I2IError, match="belongs to no class"):
        load(tmp_path / "run", "cpu").translate(Image.new("RGB", (64, 64), (1, 2, 3)), "a")


def test_a_class_chooses_the_translation(tmp_path: Path) -> None:
    settings = {**SMALL, "translator.generator.generator": {"type": "unet", **UNET}, "data.size": 32}
    recipe = Recipe.read("pix2pix_classes_small", settings)
    dry_run(recipe)
    run = train(recipe, tmp_path / "run")
    loaded = load(tmp_path / "run", "cpu")
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    by_name = {label: loaded.translate(image, "b", label=label) for label in ("red", "blue", 1)}
    assert not torch.equal(by_name["red"], by_name["blue"])
    assert torch.equal(by_name["blue"], by_name[1])
    with pytest.raises(I2IError, match="label: expected a class, one of red, blue, got 'green'"):
        loaded.translate(image, "b", label="green")
    with pytest.raises(I2IError, match="label: expected a class, one of red, blue, got None"):
        loaded.translate(image, "b")
    rows = run.translator.preview(run.dataset.preview(2))
    assert list(rows) == ["input", "red", "blue", "truth"]


def test_a_recipe_with_classes_trains_on_folders_and_translates_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(["canvas", "leather"] * 2):
        for domain in "ab":
            path = tmp_path / domain / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (50 * number, 10, 200)).save(path)
    generator = {"type": "label_concat", "generator": {"type": "unet", **UNET}}
    data = {"data.a": str(tmp_path / "a"), "data.b": str(tmp_path / "b"), "data.classes": ["canvas", "leather"]}
    train(Recipe.read("pix2pix_classes", {**SMALL, **data, "translator.generator": generator}), tmp_path / "run")
    sketch = tmp_path / "a" / "canvas" / "0.png"
    command = ["translate", str(tmp_path / "run"), str(sketch), "--to", "b", "--output", str(tmp_path / "out")]
    assert run_command([*command, "--with", "label=leather"]) == 0
    assert Image.open(tmp_path / "out" / "0.png").size == (32, 32)
    assert run_command([*command, "--with", "label=wool"]) == 2
    assert "label: expected a class, one of canvas, leather, got 'wool'" in capsys.readouterr().err
