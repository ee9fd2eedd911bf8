"""Schedules of the official implementations: sizes of PGGAN, and averages, lazy phases and `auto` of StyleGAN2-ADA."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from official_figures import Figures

from i2i.methods.growth import Growth, GrowthStage
from i2i.recipe.recipe import Recipe
from i2i.recipe.tables import Averaging

pytestmark = pytest.mark.golden


@pytest.fixture
def schedules(golden: Callable[[str], Figures]) -> Callable[[str], Any]:
    """Read a JSON file of the set."""
    return lambda name: json.loads((Path(os.environ["I2I_GOLDEN"]) / name).read_text())


def test_sizes_of_pggan(schedules: Callable[[str], Any]) -> None:
    """A level of detail is the distance from the full size in doublings; a step is one image here."""
    official = schedules("pggan/schedule.json")
    stable, fade = (round(1000 * official[f"lod_{name}_kimg"]) for name in ("training", "transition"))
    sides = [2**power for power in range(2, official["resolution"].bit_length())]
    growth = Growth([GrowthStage(side, stable=stable, fade=fade if side > 4 else 0) for side in sides])
    for row in official["schedule"]:
        level = growth.at(round(1000 * row["kimg"]))
        lod = math.log2(official["resolution"] / level.size) + 1 - level.alpha
        assert lod == pytest.approx(row["lod"], abs=1e-10), row
        assert level.size == row["resolution"] or level.alpha == 0, row


def test_averages(schedules: Callable[[str], Any]) -> None:
    for row in schedules("stylegan2_ada/schedules.json")["ema"]:
        averaging = Averaging(half_life=1000 * row["ema_kimg"], rampup=row["ema_rampup"])
        found = averaging.decay_at(row["cur_nimg"] / row["batch"], row["batch"])  # type: ignore[arg-type]
        assert found == pytest.approx(row["beta"], abs=1e-12), row


def test_optimizers_of_lazy_phases(schedules: Callable[[str], Any]) -> None:
    """The recipe has the numbers that follow from its intervals and a learning rate of 0.0025."""
    recipe = Recipe.read("stylegan2")
    rows = {(row["lr"], row["interval"]): row for row in schedules("stylegan2_ada/schedules.json")["lazy"]}
    for network, optimizer in recipe.optimizers.items():
        row = rows[0.0025, recipe.translator.options[f"{network}_interval"]]
        assert optimizer.factory.options["lr"] == pytest.approx(row["lr_used"], rel=1e-12)
        assert optimizer.factory.options["betas"] == pytest.approx((row["beta1"], row["beta2"]), rel=1e-12)


def test_auto(schedules: Callable[[str], Any]) -> None:
    """The recipe has the numbers of `auto` for its size and one GPU."""
    recipe = Recipe.read("stylegan2_ada")
    generator, augmented = (recipe.translator.options[name] for name in ("generator", "discriminators"))
    discriminator = augmented["image"].options["discriminator"].options
    found = {
        "res": recipe.image_size[0],
        "gpus": 1,
        "mb": recipe.train.batch_size,
        "mbstd": discriminator["mbstd_group_size"],
        "fmaps": generator.options["channel_base"] / 32768,
        "lr": recipe.optimizers["generator"].factory.options["lr"] * 5 / 4,
        "gamma": recipe.losses["r1"].factory.options["gamma"],
        "ema_kimg": recipe.train.ema.half_life / 1000,  # type: ignore[union-attr]
        "map_layers": generator.options["mapping_layers"],
        "ema_rampup": recipe.train.ema.rampup,  # type: ignore[union-attr]
    }
    assert discriminator["channel_base"] == generator.options["channel_base"]
    assert found in [
        {name: pytest.approx(value) for name, value in row.items()}
        for row in schedules("stylegan2_ada/schedules.json")["auto_config"]
    ]
