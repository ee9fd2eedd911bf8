"""The translator `adain_style`: outputs, conditions, image sizes, and what checkpoints hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from i2i_style.functional import match_color, mean_std
from safetensors.torch import save_file
from torch import Tensor

import i2i
from i2i.core.contracts import Batch
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.methods.networks import image_constraints
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.export_graphs import translation_graph
from i2i.use.loaded import Loaded

FEATURES = {"type": "timm", "model": "test_efficientnet", "weights": "untrained"}
TINY: dict[str, Any] = {
    "translator.features": FEATURES,
    "translator.tap": "blocks.1.0.bn1",
    "losses.style.features": FEATURES,
    "losses.style.taps": ["bn1", "blocks.1.0.bn1"],
    "translator.decoder.channels": 4,
    "translator.decoder.convolutions": [1, 1, 2],
    "data.size": 32,
    "data.count": 8,
    "train.steps": 4,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
}


def tiny(**more: Any) -> Recipe:
    return Recipe.read("adain_style_small", {**TINY, **more})


def images(count: int = 2, seed: int = 0) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(count, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    recipe = tiny()
    return Loaded(recipe, build(recipe).eval(), 0)


def test_two_steps_train_the_decoder_only() -> None:
    recipe = tiny()
    dry_run(recipe)
    stepper = Stepper(recipe)
    before = {key: value.clone() for key, value in stepper.translator.state_dict().items()}
    for step in range(2):
        assert all(torch.isfinite(value) for value in stepper.step(images(seed=step)).values())
    after = stepper.translator.state_dict()
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    still = [key for key in before if key.startswith("decoder.") and torch.equal(before[key], after[key])]
    assert moved == {"decoder"}
    assert still == []
    assert stepper.learning_rates()["generator"] == pytest.approx(2e-3 / (1 + 1e-3 * 1))


def test_an_exported_file_takes_an_image_of_a_style(loaded: Loaded) -> None:
    """The data set numbers its styles, too, for methods that know a style by its number."""
    assert loaded.translator.streams["style"].role == "label"
    graph = translation_graph(loaded, loaded.translator, "b")
    assert graph.module.names == ("image", "style")
    for image, style in graph.samples:
        assert style.shape[:2] == (1, 3)
        assert graph.module(image, style).shape == image.shape


def test_the_target_has_the_statistics_of_the_style_and_no_graph() -> None:
    translator: Any = build(tiny())
    outputs = translator.start_phase(Batch(images()), "generator")
    target = outputs.target_features["b"]
    assert not target.requires_grad
    statistics = mean_std(translator.encode(images()["b"]))
    for value, expected in zip(mean_std(target), statistics, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-3)
    assert torch.equal(outputs.fake["b"], translator.decode(target))
    assert torch.equal(outputs.fake_features["b"], translator.encode(outputs.fake["b"]))


def test_alpha_goes_from_the_content_to_the_style(loaded: Loaded) -> None:
    content, style = images()["a"], images(1, seed=3)["b"]
    translator: Any = loaded.translator
    with torch.no_grad():
        plain = translator.decode(translator.encode(content)).clamp(-1, 1)
    assert torch.equal(loaded.translate(content, style=style, alpha=0.0), plain)
    full = loaded.translate(content, style=style)
    assert torch.equal(full, loaded.translate(content, style=style, alpha=1.0))
    half = loaded.translate(content, style=style, alpha=0.5)
    assert (half - plain).abs().mean() < (full - plain).abs().mean()


def test_blends_mix_features(loaded: Loaded) -> None:
    content, style, other = images()["a"], images(1, seed=3)["b"], images(1, seed=4)["b"]
    first = loaded.translate(content, style=style)
    torch.testing.assert_close(loaded.translate(content, blend=[(style, 2), (other, 0)]), first)
    torch.testing.assert_close(loaded.translate(content, blend=[(style, 0.3), (style, 0.7)]), first)
    mixed = loaded.translate(content, blend=[(style, 0.5), (other, 0.5)])
    assert not torch.equal(mixed, first)
    torch.testing.assert_close(mixed, loaded.translate(content, blend=[(other, 1), (style, 1)]))


def test_styles_may_be_one_for_each_image_of_any_size(loaded: Loaded) -> None:
    content = images()["a"]
    styles = torch.rand(2, 3, 48, 40) * 2 - 1
    both = loaded.translate(content, style=styles)
    each = torch.cat([loaded.translate(content[i : i + 1], style=styles[i]) for i in range(2)])
    torch.testing.assert_close(both, each)


def test_colours_can_be_kept(loaded: Loaded) -> None:
    content, style = images()["a"], images(1, seed=3)["b"] * 0.2
    kept = loaded.translate(content, style=style, keep_colors=True)
    assert not torch.equal(kept, loaded.translate(content, style=style))
    torch.testing.assert_close(kept, loaded.translate(content, style=match_color(style, content)))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            {},
            "style: expected a style image, got none; give one as style, or several with weights as blend",
        ),
        (
            {"style": "pink"},
            "style: expected a style image, got 'pink'; give one as style, or several with weights as blend",
        ),
        (
            {"style": torch.zeros(3, 3, 8, 8)},
            "style: expected an image [1, 3, H, W], or one for each of 2, got [3, 3, 8, 8]",
        ),
    ],
)
def test_wrong_styles_are_refused(loaded: Loaded, conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(I2IError) as caught:
        loaded.translate(images()["a"], **conditions)
    assert str(caught.value) == message


def test_a_decoder_of_another_size_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        dry_run(tiny(**{"translator.decoder.convolutions": [1, 2]}))
    assert str(caught.value).endswith(
        "translator.decoder: expected one that enlarges features 4 times, because the layer 'blocks.1.0.bn1' reduces "
        "images as much, got one that enlarges them 2 times"
    )


def test_image_sides_are_multiples_of_the_reduction(loaded: Loaded) -> None:
    assert image_constraints(loaded.translator).multiple == 4


def test_preview_rows(loaded: Loaded) -> None:
    rows = loaded.translator.preview(images())
    assert list(rows) == ["content", "style", "stylized", "alpha 0"]
    assert all(row["a"].shape == (2, 3, 32, 32) for row in rows.values())


def test_checkpoints_hold_the_encoder_but_no_extractor_of_a_loss(tmp_path: Path) -> None:
    network = timm.create_model("test_efficientnet")
    weights = tmp_path / "network.safetensors"
    save_file(network.state_dict(), weights)
    features = {**FEATURES, "weights": str(weights)}
    recipe = tiny(**{"translator.features": features, "losses.style.features": features})
    run = Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None)
    run.save()
    saved = i2i.engine.checkpoint.find(tmp_path / "run")
    parts = {name.split(".")[0] for name in saved.weights()}
    assert parts == {"encoder", "decoder"}
    source = f"test_efficientnet, weights of {weights}"
    assert saved.state["feature_extractors"] == {"encoder": source, "losses.style.features": source}
    weights.unlink()
    loaded = i2i.load(tmp_path / "run", device="cpu")
    assert loaded.feature_extractors == {"encoder": source}
    batch = images()
    with run.stepper.eval_mode() as translator, torch.no_grad():
        expected = translator.translate(batch["a"], "b", batch["b"][:1]).image  # type: ignore[call-arg]
    torch.testing.assert_close(loaded.translate(batch["a"], style=batch["b"][:1]), expected)


def test_metrics_on_pairs_are_refused_because_a_style_is_required() -> None:
    with pytest.raises(RecipeError, match=r"train\.keep_best: 'l1' compares one translation with its target"):
        dry_run(tiny(**{"data": {"type": "shapes", "size": 32}, "train.keep_best": "l1"}))
