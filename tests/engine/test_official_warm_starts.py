"""New runs from official checkpoints, with another head: `train.init = "FORMAT:FILE"` for each format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from official_figures import read
from official_networks import official_checkpoint
from safetensors.torch import save_file

from i2i.core.kinds import IMPORTER
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.engine.warm_start import REPORT, warm_start
from i2i.methods.assembly import build, example_input
from i2i.recipe.recipe import Recipe

TAGS = {
    "cyclegan": "traj",
    "pix2pix": "traj",
    "cut": "traj_cut",
    "ugatit": "traj_light",
    "nicegan": "traj",
    "munit": "traj",
    "unit": "traj",
}
SIZES = {"cut": 32, "pix2pix": 128, "nicegan": 96, "ugatit": 96}


def check(format: str, file: Path, folder: Path, size: int) -> None:
    """Start a run on grey images and with another seed, and compare every tensor and the whole report."""
    imported = IMPORTER(format).component(file)
    head = {"data.channels": 1, "data.size": size, "train.batch_size": 1, "train.ema": 0.9}
    init = {"train.init": f"{format}:{file}", "train.seed": 3}
    settings = {key: value for key, value in imported.settings.items() if not key.endswith("_channels")}
    recipe = Recipe.read(imported.recipe, settings | head | init)
    stepper = Stepper(recipe)
    run = Run(folder, recipe, stepper, dataset=None)
    folder.mkdir()
    warm_start(run)
    report: dict[str, Any] = json.loads((folder / REPORT).read_text())
    initial, found = build(recipe).state_dict(), run.translator.state_dict()
    weights = imported.weights
    assert set(report["missing"]) == found.keys() - weights.keys()
    assert set(report["unused"]) == weights.keys() - found.keys()
    changed = {name for name, value in found.items() if name in weights and weights[name].shape != value.shape}
    assert set(report["mismatched"]) == changed
    assert any("stem.conv.weight" in name or "head.weight" in name or "up.0.conv" in name for name in changed)
    assert set(report["taken"]) == found.keys() - changed - set(report["missing"])
    assert len(report["taken"]) > 3 * len(changed)
    for name, value in found.items():
        expected = weights[name].to(value.dtype) if name in report["taken"] else initial[name]
        assert torch.equal(value, expected), name
    assert stepper.ema is not None
    assert all(torch.equal(value, found[name]) for name, value in stepper.ema.average.items())
    example = {name: example_input(stream, 1) for name, stream in run.translator.streams.items()}
    batch = {
        name: torch.rand_like(value) * 2 - 1 if value.is_floating_point() else value for name, value in example.items()
    }
    terms = stepper.step(*[batch] * stepper.batches_per_step)
    assert all(value.isfinite() for value in terms.values())
    assert not stepper.accelerator.scaler


@pytest.mark.thorough
@pytest.mark.parametrize("method", TAGS)
def test_each_official_checkpoint(method: str, golden: Path, tmp_path: Path) -> None:
    tag = TAGS[method]
    config = read(golden / method, f"{tag}_batches").config
    file = official_checkpoint(golden, method, tag, tmp_path / "official")
    check(f"{method}-pytorch", file, tmp_path / "run", SIZES.get(method) or config.get("img_size", 64))


def test_the_tensorflow_checkpoint(golden_tensorflow: Path, tmp_path: Path) -> None:
    folder = next((golden_tensorflow / "checkpoint").iterdir())
    check("ugatit-tensorflow", folder, tmp_path / "run", 48)


def test_tensorflow_variables_as_safetensors(golden_tensorflow: Path, tmp_path: Path) -> None:
    variables = read(golden_tensorflow, "traj_full_init").tensors()
    save_file(variables, tmp_path / "variables.safetensors")
    check("ugatit-tensorflow", tmp_path / "variables.safetensors", tmp_path / "run", 96)
