"""The translator `fast_style`: one row of norm parameters for each style, mixes, and checks of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import i2i
from i2i.engine import checkpoint
from i2i.engine.hooks.console import Console
from i2i.engine.hooks.log import JSONLines
from i2i.engine.hooks.samples import Samples
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.loaded import Loaded

FEATURES = {"type": "timm", "model": "test_efficientnet", "weights": "untrained"}
TINY: dict[str, Any] = {
    "losses.content.features": FEATURES,
    "losses.style.features": FEATURES,
    "losses.content.taps": ["blocks.1.0.bn1"],
    "losses.style.taps": ["bn1", "blocks.1.0.bn1"],
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "data.size": 32,
    "data.count": 8,
    "train.steps": 4,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
}


def tiny(**more: Any) -> Recipe:
    return Recipe.read("fast_style_small", {**TINY, **more})


def batch(seed: int = 0, styles: tuple[int, ...] = (1, 3)) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    images = {domain: torch.rand(2, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}
    return {**images, "style": torch.tensor(styles)}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    recipe = tiny()
    translator = build(recipe).eval()
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in translator.named_parameters():
            if name.endswith((".gamma", ".beta")):
                value.add_(torch.randn(value.shape, generator=draws))
    return Loaded(recipe, translator, 0)


def test_two_steps_train_only_the_styles_of_the_batch() -> None:
    recipe = tiny()
    dry_run(recipe)
    stepper = Stepper(recipe)
    before = {key: value.clone() for key, value in stepper.translator.named_parameters()}
    for step in range(2):
        assert all(torch.isfinite(value) for value in stepper.step(batch(step)).values())
    for key, value in stepper.translator.named_parameters():
        moved = (value != before[key]).reshape(len(value), -1).any(1)
        if key.endswith((".gamma", ".beta")):
            assert moved.tolist() == [False, True, False, True], key
        else:
            assert moved.any(), key


def test_gradient_checkpointing_gives_the_same_step() -> None:
    plain, checkpointed = Stepper(tiny()), Stepper(tiny(**{"train.gradient_checkpointing": True}))
    for step in range(2):
        terms, expected = checkpointed.step(batch(step)), plain.step(batch(step))
        assert all(torch.equal(terms[name], expected[name]) for name in expected)
    weights, expected = checkpointed.translator.state_dict(), plain.translator.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_each_sample_is_translated_to_its_own_style(loaded: Loaded) -> None:
    from i2i.core.contracts import Batch

    translator: Any = loaded.translator
    streams = batch()
    with torch.no_grad():
        fake = translator.start_phase(Batch(streams), "generator").fake["b"]
    for index, style in enumerate((1, 3)):
        alone = loaded.translate(streams["a"][index : index + 1], style=style)
        torch.testing.assert_close(fake[index : index + 1], alone)


def test_blends_interpolate(loaded: Loaded) -> None:
    image = batch()["a"]
    first, second = loaded.translate(image, style=0), loaded.translate(image, style=2)
    assert not torch.equal(first, second)
    assert torch.equal(loaded.translate(image), first)
    assert torch.equal(loaded.translate(image, blend={0: 1.0, 2: 0}), first)
    halfway = loaded.translate(image, blend={0: 1, 2: 1})
    assert torch.equal(halfway, loaded.translate(image, style=torch.tensor([0.5, 0, 0.5, 0])))
    both = loaded.translate(image, style=torch.eye(4)[[0, 2]])
    assert torch.equal(loaded.translate(image, style=torch.tensor([0, 2])), both)
    torch.testing.assert_close(both, torch.stack([first[0], second[1]]))


@pytest.mark.parametrize(
    ("style", "message"),
    [
        (4, "style: expected a number from 0 to 3, got 4"),
        (True, "style: expected a number from 0 to 3, got True"),
        ("pink", "style: expected a number from 0 to 3, got 'pink'"),
        (torch.tensor([1, 4]), "style: expected numbers from 0 to 3, got [1, 4]"),
        (
            torch.zeros(1, 3, 8, 8),
            "style: expected a number from 0 to 3, got a tensor [1, 3, 8, 8]",
        ),
    ],
)
def test_unknown_styles_are_refused(loaded: Loaded, style: Any, message: str) -> None:
    with pytest.raises(I2IError) as caught:
        loaded.translate(batch()["a"], style=style)
    assert str(caught.value) == message


def test_parse_style(loaded: Loaded) -> None:
    translator = loaded.translator
    assert translator.parse_style("3") == {"": 3}
    assert translator.parse_style("all") == {".0": 0, ".1": 1, ".2": 2, ".3": 3}
    with pytest.raises(I2IError) as caught:
        translator.parse_style("random")
    assert str(caught.value) == "style: expected a number from 0 to 3, or all, got 'random'"


def test_a_generator_without_conditional_norms_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        dry_run(tiny(**{"translator.generator.norm": {"type": "in"}}))
    assert str(caught.value).endswith(
        "translator.generator: expected conditional norms of one number of styles, such as norm = 'cin', got none"
    )


def test_data_with_another_number_of_styles_is_refused(tmp_path: Path) -> None:
    message = (
        "translator.generator: its norms have rows for 4 styles, and the data has 3; set "
        "translator.generator.norm.styles = 3, or give as many style images"
    )
    with pytest.raises(RecipeError) as caught:
        train(tiny(**{"data.styles": 3}), tmp_path / "textures")
    assert str(caught.value).endswith(message)
    for domain in "ab":  # the number of a folder's images is known only when it has been read
        (tmp_path / domain).mkdir()
        for number in range(3):
            Image.new("RGB", (40, 40)).save(tmp_path / domain / f"{number}.png")
    settings = {name: value for name, value in TINY.items() if not name.startswith("data.")}
    folders = {"type": "styles", "a": str(tmp_path / "a"), "b": str(tmp_path / "b"), "size": 32}
    with pytest.raises(RecipeError) as caught:
        train(Recipe.read("fast_style_small", {**settings, "data": folders}), tmp_path / "folders")
    assert str(caught.value).endswith(message)


def test_data_without_the_stream_style_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        tiny(data={"type": "shapes", "size": 32})
    assert (
        "translator 'fast_style' needs the stream 'style' (label), and dataset 'shapes' has a (image), b (image)"
        in str(caught.value)
    )


def test_a_resumed_run_is_identical_and_names_the_feature_extractor(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"train.checkpoint_every": 2, "train.sample_every": 4, "train.log_every": 1}
    console = Console()
    whole = train(tiny(**settings), tmp_path / "whole", extras=[Samples(), JSONLines(), console])
    console.close()
    train(tiny(**{**settings, "train.steps": 2}), tmp_path / "parts")
    resumed = train(tiny(**settings), tmp_path / "parts", checkpoint.find(tmp_path / "parts"))
    one, other = whole.translator.state_dict(), resumed.translator.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not any(name.startswith("losses.") for name in one)

    source = "test_efficientnet, untrained"
    by_loss = {"losses.content.features": source, "losses.style.features": source}
    first = json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[0])
    assert (first["event"], first["feature_extractors"]) == ("started", by_loss)
    assert checkpoint.find(tmp_path / "whole").state["feature_extractors"] == by_loss
    with Image.open(tmp_path / "whole/samples/step-0000004.png") as grid:
        assert grid.info["feature extractor"] == source
    assert capfd.readouterr().err.count(f"feature extractor: {source}\n") == 1
    assert i2i.load(tmp_path / "whole", device="cpu").feature_extractors == {}  # the losses are not loaded
