"""Low-rank adapters: what is trained, what is saved, and how it is loaded, resumed, merged and moved."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import i2i
from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.errors import CheckpointError
from i2i.methods.assembly import dry_run
from i2i.methods.weights.pix2pix import PIX2PIX
from i2i.nn.layers.low_rank import LowRank, adapt
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError


@pytest.fixture(scope="module")
def options(tiny_settings: Mapping[str, object]) -> dict[str, object]:
    """Settings of networks that are large enough for adapters of one percent."""
    kept = {key: value for key, value in tiny_settings.items() if key.startswith(("train.", "optimizers."))}
    return kept | {
        "translator.generator": {"type": "resnet", "channels": 32, "blocks": 2},
        "translator.discriminators.local.channels": 32,
        "translator.discriminators.local.layers": 3,
        "data.count": 12,
        "data.size": 16,
        "train.batch_size": 1,
        "schedule.type": "constant",
        "train.ema": 0.5,
    }


@pytest.fixture(scope="module")
def folder(options: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run `base`, and of `tuned`, whose adapters were trained on it."""
    folder = tmp_path_factory.mktemp("runs")
    train(recipe(options, **{"train.steps": 1, "train.seed": 7}), folder / "base")
    train(tuned(options, folder, **{"train.steps": 3}), folder / "tuned")
    return folder


def recipe(options: Mapping[str, object], **more: object) -> Recipe:
    return Recipe.read("pix2pix_small", {**options, **more})


def tuned(options: Mapping[str, object], folder: Path, **more: object) -> Recipe:
    settings = {"train.init": str(folder / "base"), "train.adapter": {"rank": 1, "alpha": 2.0}}
    rates = {f"optimizers.{phase}.lr": 1e-2 for phase in ("generator", "discriminator")}
    return recipe(options, **{**rates, **settings, **more})


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_one_percent_is_trained_and_saved(folder: Path, options: dict[str, object]) -> None:
    base, saved = (checkpoint.find(folder / name) for name in ("base", "tuned"))
    before, after = base.weights(), saved.weights()
    parameters = {
        name for name, value in before.items() if not name.endswith(("running_mean", "running_var", "tracked"))
    }
    assert not parameters & after.keys()
    trained = {name: value for name, value in after.items() if ".adapter." in name}
    total = sum(before[name].numel() for name in parameters)
    assert sum(value.numel() for value in trained.values()) < 0.014 * total
    assert all(value.abs().sum() > 0 for value in trained.values())
    assert size(saved.folder) < 0.02 * size(base.folder)


def test_loaded_it_translates_as_it_was_trained(folder: Path, options: dict[str, object]) -> None:
    run = resumed(folder, tuned(options, folder, **{"train.steps": 3}))
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    loaded = i2i.load(folder / "tuned")
    assert not any(isinstance(module, LowRank) for module in loaded.translator.modules())
    torch.testing.assert_close(loaded.translate(image), run.translated(image, "b"), rtol=1e-4, atol=1e-5)
    base = i2i.load(folder / "base").translate(image)
    assert (loaded.translate(image) - base).abs().max() > 1e-3


def resumed(folder: Path, checked: Recipe) -> Run:
    from i2i.engine.stepper import Stepper

    run = Run(folder / "tuned", checked, Stepper(checked), dataset=None)
    run.load(checkpoint.find(folder / "tuned"))
    return run


def test_a_resume_is_exact(folder: Path, options: dict[str, object], tmp_path: Path) -> None:
    shutil.copytree(folder / "tuned", tmp_path / "tuned")
    longer = tuned(options, folder, **{"train.steps": 5})
    train(longer, tmp_path / "tuned", checkpoint.find(tmp_path / "tuned"))
    train(longer, tmp_path / "whole")
    for file in (checkpoint.WEIGHTS, checkpoint.AVERAGE, "optimizer-generator.safetensors"):
        found, expected = (checkpoint.find(tmp_path / name).tensors(file) for name in ("tuned", "whole"))
        assert found.keys() == expected.keys()
        assert found
        assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_a_warm_start_takes_merged_weights(folder: Path, options: dict[str, object], tmp_path: Path) -> None:
    still = {f"optimizers.{phase}.lr": 1e-30 for phase in ("generator", "discriminator")}
    run = train(recipe(options, **still, **{"train.steps": 1, "train.init": str(folder / "tuned")}), tmp_path / "next")
    expected = i2i.load(folder / "tuned", averaged=False).translator.state_dict()
    for name, value in expected.items():
        if value.ndim == 4:
            torch.testing.assert_close(run.translator.state_dict()[name], value)


def test_moved_missing_and_changed_bases(folder: Path, options: dict[str, object], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    away = folder.with_name(f"{folder.name}-away")
    folder.rename(away)
    try:
        image = torch.zeros(1, 3, 16, 16)
        torch.testing.assert_close(i2i.load(moved / "tuned").translate(image).shape, image.shape)
        # The base takes another step: its first checkpoint is still the one.
        longer = recipe(options, **{"train.steps": 2, "train.seed": 7, "train.checkpoint_every": 1})
        train(longer, moved / "base", checkpoint.find(moved / "base"))
        i2i.load(moved / "tuned")
        shutil.rmtree(checkpoint.listed(moved / "base")[1])
        with pytest.raises(CheckpointError, match=r"has other weights than those that the adapters were trained on"):
            i2i.load(moved / "tuned")
        shutil.rmtree(moved / "base")
        with pytest.raises(
            CheckpointError, match=r"holds adapters alone; the weights below them are missing: expected "
        ):
            i2i.load(moved / "tuned")
    finally:
        away.rename(folder)


def test_adapters_on_an_official_generator(options: dict[str, object], folder: Path, tmp_path: Path) -> None:
    """The discriminator, for which the file has no weights, is trained as a whole."""
    weights = checkpoint.find(folder / "base").weights()
    generator = {
        name.removeprefix("generator."): value for name, value in weights.items() if name.startswith("generator.")
    }
    torch.save(PIX2PIX.networks["G"].export(generator), tmp_path / "latest_net_G.pth")
    given = {"train.init": f"pix2pix-pytorch:{tmp_path / 'latest_net_G.pth'}", "train.steps": 1}
    with pytest.raises(
        CheckpointError, match=r"has no weights for \d+ frozen tensors: .* train.adapter.modules = \['generator'\]"
    ):
        train(tuned(options, folder, **given), tmp_path / "refused")
    run = train(tuned(options, folder, **given, **{"train.adapter.modules": ["generator"]}), tmp_path / "run")
    saved = checkpoint.find(tmp_path / "run").weights()
    assert "discriminators.local.final.weight" in saved
    assert "generator.encoder.stem.conv.weight" not in saved
    assert i2i.load(run.folder).translate(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train.init": "none"}, "train.adapter: needs train.init, the weights that the adapters change"),
        (
            {"train.adapter.modules": ["generatr"]},
            r"'generatr' matches no trained convolution .*Did you mean 'generator'",
        ),
        ({"train.adapter.rank": 0}, "expected a number > 0, got 0"),
    ],
)
def test_options_that_are_refused(
    settings: dict[str, object], message: str, folder: Path, options: dict[str, object]
) -> None:
    with pytest.raises(RecipeError, match=message):
        dry_run(tuned(options, folder, **settings))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Conv2d(3, 4, 3), (1, 3, 6, 6)), (nn.ConvTranspose2d(3, 4, 3), (1, 3, 6, 6)), (nn.Linear(3, 4), (2, 3))],
)
def test_a_layer_with_an_adapter(layer: Any, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    before, weight = layer(x), layer.weight.detach().clone()
    adapt(layer, rank=2, alpha=3.0)
    torch.testing.assert_close(layer(x), before)
    state: dict[str, Tensor] = layer.state_dict()
    assert set(state) == {"weight", "bias", "adapter.up", "adapter.down"}
    layer.load_state_dict({**state, "adapter.up": torch.ones_like(state["adapter.up"])})
    change = 1.5 * (torch.ones_like(state["adapter.up"]) @ state["adapter.down"]).view_as(weight)
    torch.testing.assert_close(layer.weight, weight + change)
    layer(x).sum().backward()
    assert {name for name, p in layer.named_parameters() if p.grad is not None} == {
        "bias",
        "parametrizations.weight.0.up",
        "parametrizations.weight.0.down",
    }
