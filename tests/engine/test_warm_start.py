"""New runs that start from other weights, and parameters that are frozen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.engine.warm_start import REPORT
from i2i.errors import CheckpointError
from i2i.methods.assembly import build
from i2i.methods.freezing import matches
from i2i.methods.weights.pix2pix import PIX2PIX
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError


def settings(cheap: dict[str, object], **more: Any) -> dict[str, object]:
    """One step that changes no weight, so that the weights at the end are those at the start."""
    still = {f"optimizers.{phase}.lr": 1e-30 for phase in ("generator", "discriminator")}
    return cheap | still | {"train.steps": 1} | {key.replace("__", "."): value for key, value in more.items()}


def report_of(run: Run) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run.folder / REPORT).read_text())
    return report


def initial(recipe: Recipe) -> dict[str, Tensor]:
    return build(recipe).state_dict()


@pytest.fixture
def source(cheap: dict[str, object], tmp_path: Path) -> Run:
    """A run of another seed, whose weights all differ from those that later runs draw."""
    return train(Recipe.read("pix2pix_small", settings(cheap, train__seed=7)), tmp_path / "source")


def floats(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the statistics of norms, which a step changes, and what starts as a constant."""
    return {name: value for name, value in state.items() if name.endswith("weight") and value.ndim == 4}


@pytest.mark.parametrize("of", ["run", "checkpoint"])
def test_all_weights_of_an_equal_recipe(source: Run, of: str, cheap: dict[str, object], tmp_path: Path) -> None:
    folder = source.folder if of == "run" else checkpoint.listed(source.folder)[1]
    run = train(Recipe.read("pix2pix_small", settings(cheap, train__init=str(folder))), tmp_path / "run")
    for name, value in floats(source.translator.state_dict()).items():
        torch.testing.assert_close(run.translator.state_dict()[name], value)
    report = report_of(run)
    assert set(report["taken"]) == set(run.translator.state_dict())
    assert [report[key] for key in ("excluded", "missing", "unused")] == [[], [], []]
    assert report["mismatched"] == {}
    assert run.start == 0
    assert run.step == 1


@pytest.mark.thorough
def test_the_report_is_exact_where_shapes_differ(
    source: Run, cheap: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"train__init": str(source.folder), "translator__generator__blocks": 2}
    recipe = Recipe.read("pix2pix_small", settings(cheap, translator__discriminators__local__channels=6, **more))
    run = train(recipe, tmp_path / "run")
    report, before, start = report_of(run), source.translator.state_dict(), initial(recipe)
    assert set(report["missing"]) == set(start) - set(before)
    assert set(report["unused"]) == set(before) - set(start)
    assert set(report["mismatched"]) == {
        name for name in set(start) & set(before) if start[name].shape != before[name].shape
    }
    assert report["missing"]
    assert report["mismatched"]
    kept = {*report["taken"], *report["missing"], *report["mismatched"]}
    assert kept == set(start)
    for name, value in floats(run.translator.state_dict()).items():
        torch.testing.assert_close(value, before[name] if name in report["taken"] else start[name])
    assert f"took {len(report['taken'])} of {len(start)} tensors from {source.folder}" in caplog.text
    assert f"{len(report['mismatched'])} from scratch, of another shape in the source: " in caplog.text


@pytest.mark.thorough
def test_include_and_exclude(source: Run, cheap: dict[str, object], tmp_path: Path) -> None:
    more = {"train__init_include": ["generator"], "train__init_exclude": ["generator.encoder.blocks.*.first"]}
    recipe = Recipe.read("pix2pix_small", settings(cheap, train__init=str(source.folder), **more))
    run = train(recipe, tmp_path / "run")
    before, start = source.translator.state_dict(), initial(recipe)
    for name, value in floats(run.translator.state_dict()).items():
        taken = name.startswith("generator.") and ".first." not in name
        torch.testing.assert_close(value, before[name] if taken else start[name])
    wrong = Recipe.read("pix2pix_small", settings(cheap, train__init=str(source.folder), train__init_include=["gen"]))
    with pytest.raises(CheckpointError, match=r"train\.init_include: 'gen' matches no tensor"):
        train(wrong, tmp_path / "wrong")


@pytest.mark.thorough
def test_averages_start_from_the_loaded_weights(source: Run, cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", settings(cheap, train__init=str(source.folder), train__ema=0.999))
    run = train(recipe, tmp_path / "run")
    assert run.stepper.ema is not None
    for name, value in floats(dict(run.stepper.ema.average)).items():
        torch.testing.assert_close(value, source.translator.state_dict()[name])


@pytest.mark.thorough
def test_a_resume_does_not_load_them_again(source: Run, cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("pix2pix_small", settings(cheap, train__init=str(source.folder)))
    train(recipe, tmp_path / "run")
    for folder in checkpoint.listed(source.folder).values():
        (folder / checkpoint.WEIGHTS).unlink()
    longer = Recipe.read("pix2pix_small", settings(cheap, train__init=str(source.folder), train__steps=2))
    assert train(longer, tmp_path / "run", checkpoint.find(tmp_path / "run")).step == 2


def test_an_official_checkpoint(cheap: dict[str, object], tmp_path: Path) -> None:
    generator = Recipe.read("pix2pix_small", settings(cheap, train__seed=7))
    official = PIX2PIX.networks["G"]
    weights = {name: value for name, value in initial(generator).items() if name.startswith("generator.")}
    state = official.export({name.removeprefix("generator."): value for name, value in weights.items()})
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "latest_net_G.pth")
    init = f"pix2pix-pytorch:{tmp_path / 'latest_net_G.pth'}"
    run = train(Recipe.read("pix2pix_small", settings(cheap, train__init=init)), tmp_path / "run")
    assert {name for name in report_of(run)["taken"] if name.endswith("weight")} == {
        name for name in weights if name.endswith("weight")
    }
    for name, value in floats(weights).items():
        torch.testing.assert_close(run.translator.state_dict()[name], value)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("nowhere", "nowhere does not exist; give a run folder"),
        ("empty", r"train\.init: .*empty is not a run; for an official checkpoint write its format before it, such as"),
        ("pix2pix-pytorh:empty", r"Did you mean 'pix2pix-pytorch'\?"),
        ("pix2pix-pytorch:nowhere.pth", "expected a checkpoint file, found nothing"),
    ],
)
def test_weights_that_are_not_there(
    init: str, message: str, cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pix2pix-pytorh:empty").mkdir()
    with pytest.raises(CheckpointError, match=message):
        train(Recipe.read("pix2pix_small", settings(cheap, train__init=init)), tmp_path / "run")


@pytest.mark.thorough
def test_weights_of_which_nothing_fits(source: Run, cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("cyclegan_small", settings(cheap, train__init=str(source.folder)))
    with pytest.raises(CheckpointError, match=r"took 0 of \d+ tensors"):
        train(recipe, tmp_path / "run")


# Frozen parameters.


def test_frozen_parameters_do_not_move_and_others_do(cheap: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read(
        "pix2pix_small", cheap | {"train.steps": 4, "train.freeze": ["generator.encoder.down", "*.head.bias"]}
    )
    start = initial(recipe)
    run = train(recipe, tmp_path / "run")
    for name, parameter in run.translator.named_parameters():
        frozen = matches(name, "generator.encoder.down") or name.endswith(".head.bias")
        if frozen or parameter.ndim == 4:  # biases before a norm get no gradient
            assert torch.equal(parameter, start[name]) == frozen, name


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["generator.encodr"], r"train\.freeze: 'generator.encodr' matches no parameter\. Did you mean '"),
        (["generator"], "nothing is left to train in the phase 'generator'"),
    ],
)
def test_patterns_that_freeze_nothing_or_everything(
    patterns: list[str], message: str, cheap: dict[str, object]
) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Recipe.read("pix2pix_small", cheap | {"train.freeze": patterns}))


def test_patterns() -> None:
    assert matches("a.b.c", "a.b")
    assert matches("a.b.c", "a.*.c")
    assert matches("a.b.c", "a.b.c")
    assert matches("a.b.c.d", "a.*.c")
    assert not matches("a.bc", "a.b")
    assert not matches("a.b", "b")
