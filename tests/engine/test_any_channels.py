"""Every method trains on images of any channels and depth, resumes exactly, and translates back to their depth."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from i2i.cli import run as command
from i2i.core.hookspecs import hookimpl
from i2i.core.signature import options
from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
COMMON = {
    "data.type": "folders",
    "data.size": [16, 32],
    "data.margin": 4,
    "train.batch_size": 1,
    "train.steps": 2,
    "train.workers": 0,
    "train.sample_every": 0,
    "train.keep_best": "none",
}
NARROW = {"translator.generator.channels": 4, "translator.generator.blocks": 1}
SHALLOW = {"translator.discriminators.local.layers": 3}
METHODS: dict[str, dict[str, object]] = {
    "cyclegan_small": {**NARROW, "translator.discriminators.local.channels": 4, **SHALLOW},
    "cut_small": {"translator.generator.channels": 4, "translator.discriminators.local.channels": 4, **SHALLOW},
    "pix2pix_small": {
        "data.type": "paired",
        "translator.generator.channels": 4,
        "translator.generator.levels": 3,
        **SHALLOW,
        "translator.discriminators.local.channels": 4,
    },
    "unit_small": {
        **NARROW,
        "translator.discriminators.multiscale.channels": 4,
        "translator.discriminators.multiscale.layers": 2,
    },
    "munit_small": {
        **NARROW,
        "translator.discriminators.multiscale.channels": 4,
        "translator.discriminators.multiscale.layers": 2,
    },
}
LEGAL = {
    "pix2pix_classes": {"translator.generator.generator.levels": 6},
    "pix2pix": {"translator.generator.levels": 6},
    "nicegan": {"translator.discriminator.layers": 6},
    "ugatit": {"translator.discriminators.global_.layers": 6},
}
"""What the size 64 x 128 asks of networks that are made for 256 px, as their messages say."""
OF_FILES: dict[str, dict[str, object]] = {
    "portrait_pairs": {"data.type": "paired"},
    "shape_classes": {"data.type": "class_pairs", "data.classes": ["red", "blue"]},
    "masked_shapes": {"data.type": "masked_folders", "data.mask_a": "alpha", "data.mask_b": "alpha"},
}
"""Data sets of files with the streams of drawn ones; `folders` for the others."""


def bands(folder: Path, channels: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(3):
        values = np.random.default_rng([number, *folder.name.encode()]).integers(
            0, 65536, (24, 40, channels), np.uint16
        )
        contiguous = {"planarconfig": "contig"} if channels > 1 else {}
        tifffile.imwrite(folder / f"{number}.tif", values.squeeze(), photometric="minisblack", **contiguous)
    return folder


class StopAfter:
    """Asks a run to stop as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [5, 1])
@pytest.mark.parametrize("name", METHODS)
def test_16_bits_of_any_channels(name: str, channels: int, tmp_path: Path) -> None:
    folders = {f"data.{domain}": str(bands(tmp_path / domain, channels)) for domain in "ab"}
    recipe = Recipe.read(name, {**COMMON, **METHODS[name], **folders, "data.channels": channels})
    whole = train(recipe, tmp_path / "whole")
    assert train(recipe, tmp_path / "run", extras=[StopAfter(1)]).step == 1
    resumed = train(recipe, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    weights = whole.translator.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in resumed.translator.state_dict().items())
    arguments = ["translate", str(tmp_path / "run"), str(tmp_path / "a"), "--output", str(tmp_path / "out")]
    assert command([*arguments, "--size", "original"]) == 0
    made = tifffile.imread(tmp_path / "out" / "1.tif")
    assert made.dtype == np.uint16
    assert made.shape == ((24, 40, channels) if channels > 1 else (24, 40))
    assert made.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["square", "none"])
def test_every_recipe_takes_images_that_are_wider_than_high(resize: str) -> None:
    for path in sorted(RECIPES.glob("*.toml")):
        recipe = Recipe.read(path)
        settings = {"data.size": [64, 128], **next((LEGAL[key] for key in LEGAL if path.stem.startswith(key)), {})}
        if path.stem.endswith("_small"):
            settings = {"data.size": [64, 128]}
        if resize != "square" and "sincut" not in path.stem:  # SinCUT's patches have the image's resolution anyway
            if "resize" not in options(recipe.data.component):
                settings |= OF_FILES.get(recipe.data.name, {"data.type": "folders"})
            settings |= {"data.resize": resize, "data.patches": 4, "train.keep_best": "none"}
        recipe = Recipe.read(path, settings)
        assert recipe.image_size == (64, 128), path
        dry_run(recipe)
