"""`i2i evaluate` on generators: samples against real images, truncation, path length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan.style_translators import StyleGAN2

from i2i.cli import run as command
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

NARROW = {f"translator.{part}.channel_base": 64 for part in ("generator", "discriminators.image")}


def saved(name: str, settings: dict[str, Any], folder: Path) -> Path:
    recipe = Recipe.read(name, settings)
    Run(folder, recipe, Stepper(recipe), dataset=None).save()
    return folder


def test_figures_of_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm", reason="needs the extra i2i[metrics]")
    run = saved("stylegan2_small", NARROW | {"data.data.size": 16}, tmp_path / "run")
    found = {}
    for truncation in ("1", "0"):
        output = tmp_path / f"figures{truncation}.json"
        arguments = ["evaluate", str(run), "--count", "6", "--truncation", truncation, "--output", str(output)]
        metrics = ["--metric", "kid", "--metric", "recall", "--metric", "path_length"]
        assert command([*arguments, *metrics, "--no-cache"]) == 0, capsys.readouterr().err
        figures = json.loads(output.read_text())["metrics"]
        found[truncation] = {figure["name"].split()[0].lower(): figure["value"] for figure in figures}
    assert found["1"]["path_length"] > 0
    assert found["0"]["path_length"] == pytest.approx(0)  # all images are the average one
    assert len(found["1"]) == 3
    capsys.readouterr()
    for extra, message in (
        (["--truncation", "nan"], "truncation: expected a finite number, got nan"),
        (["--source", str(tmp_path)], "generates images from noise"),
    ):
        assert command(["evaluate", str(run), "--count", "4", *extra]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_pairs_of_the_path_length_are_near(tmp_path: Path) -> None:
    translator: Any = Stepper(Recipe.read("stylegan2_small", NARROW | {"data.data.size": 16})).translator
    assert isinstance(translator, StyleGAN2)
    translator.eval()
    with torch.no_grad():
        near, far = (translator.path_pairs([1, 2], epsilon) for epsilon in (1e-3, 1e-1))
    assert near.shape == (2, 2, 3, 16, 16)
    assert torch.equal(near[0], far[0])
    assert 0 < float((near[1] - near[0]).abs().max()) < float((far[1] - far[0]).abs().max())
