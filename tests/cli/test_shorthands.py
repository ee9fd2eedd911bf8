"""Options and spellings that people type: shorthands of `--set`, epochs, names without regard to case."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from i2i.cli import cli
from i2i.cli import run as run_cli
from i2i.cli.train import SHORTHANDS, settings
from i2i.core.plugins import default_plugins
from i2i.data import measured
from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe, to_setting
from i2i.recipe.source import RecipeError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--lr", "3e-4"], {"optimizers.*.lr=0.0003"}),
        (["--batch-size", "4", "--steps", "7"], {"train.epochs=none", "train.batch_size=4", "train.steps=7"}),
        (["--size", "64", "--epochs", "2"], {"data.size=64", "train.epochs=2"}),
        (["--size", "64x128"], {"data.size=[64, 128]"}),
        (["--set", "train.seed=3"], {"train.seed=3"}),
    ],
)
def test_shorthands_are_settings(options: list[str], expected: set[str]) -> None:
    seen: list[tuple[str, ...]] = []

    @click.command()
    @settings
    def command(settings: tuple[str, ...]) -> None:
        seen.append(settings)

    result = CliRunner().invoke(command, options, standalone_mode=False)
    assert result.exception is None
    assert set(seen[0]) == expected


def test_every_command_that_reads_a_recipe_has_them() -> None:
    default_plugins().register_commands(cli)
    for name in ("train", "check", "plan", "import"):
        assert SHORTHANDS.keys() <= {parameter.name for parameter in cli.commands[name].params}, name


def test_a_star_stands_for_each_table_of_the_recipe() -> None:
    recipe = Recipe.read(
        "ugatit_light", ["optimizers.*.lr=3e-4", "optimizers.generator.lr=1", "*.discriminators.*.channels=8"]
    )
    assert {phase: plan.resolved()["lr"] for phase, plan in recipe.optimizers.items()} == {
        "discriminator": 3e-4,
        "generator": 1,
    }
    channels = [table["channels"] for table in recipe.resolved()["translator"]["discriminators"].values()]
    assert channels == [8, 8]
    for wrong, message in (("optimisers.*.lr=1", "matches no table"), ("optimizers.*=1", "matches no table")):
        with pytest.raises(RecipeError, match=message):
            Recipe.read("ugatit_light", [wrong])


def test_names_without_regard_to_case(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'extends = "CycleGAN_small"\n[translator.generator]\ntype = "ResNet"\nnorm = "GN"\n[data]\ntype="Shapes"\n'
    )
    recipe = Recipe.read(tmp_path / "mine.toml", {"losses.gan.type": "LSGAN"})
    assert recipe.translator.options["generator"].name == "resnet"
    assert recipe.resolved()["translator"]["generator"]["norm"]["type"] == "gn"
    assert recipe.losses["gan"].factory.name == "lsgan"
    assert Recipe.read("UGATIT").name == "ugatit"
    with pytest.raises(RecipeError, match=r"Did you mean 'resnet'\?"):
        Recipe.read("cyclegan_small", {"translator.generator.type": "ResNett"})


def test_epochs_become_steps_and_a_resume_keeps_them(cheap: dict[str, Any], tmp_path: Path) -> None:
    options = {**cheap, "train.epochs": 2, "train.batch_size": 5, "train.accumulate": 1}
    run = train(Recipe.read("pix2pix_small", options), tmp_path / "run")
    assert run.steps == run.step == math.ceil(2 * len(run.dataset) / 5)
    saved = Recipe.read(tmp_path / "run" / checkpoint.RECIPE)
    assert (saved.train.steps, saved.train.epochs) == (run.steps, None)
    more = Recipe.read(tmp_path / "run" / checkpoint.RECIPE, ["train.epochs=3"])
    resumed = train(more, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    assert resumed.step == math.ceil(3 * len(run.dataset) / 5)


def test_train_with_shorthands(
    cheap: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "DRAWN", 4)
    given = [f"--set={to_setting(key, value)}" for key, value in cheap.items()]
    short = ["--steps", "1", "--lr", "5e-4", "--batch-size", "1", "--device", "cpu"]
    assert run_cli(["train", "Pix2Pix_Small", "--output", str(tmp_path / "run"), *given, *short]) == 0
    recipe = Recipe.read(tmp_path / "run" / checkpoint.RECIPE)
    assert recipe.train.batch_size == recipe.train.steps == 1
    assert {plan.resolved()["lr"] for plan in recipe.optimizers.values()} == {5e-4}
    capfd.readouterr()
    assert run_cli(["train", "pix2pix_small", "--output", str(tmp_path / "no"), *given, "--device", "xpu:9"]) == 2
    assert "xpu:9" in capfd.readouterr().err
