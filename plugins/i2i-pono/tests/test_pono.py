"""The sample plugin: its formula, and that i2i finds, lists and trains it as installed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PONO = pytest.importorskip("i2i_pono.norm", reason="the plugin i2i-pono is not installed").PONO


def i2i(*arguments: str, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "I2I_PLUGINS"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "i2i", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_position_has_mean_zero_and_variance_one() -> None:
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64) * 4 + 7
    y = PONO(8, affine=False)(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 5, dtype=torch.float64))
    torch.testing.assert_close(y.var(1), torch.ones(2, 3, 5, dtype=torch.float64), rtol=1e-4, atol=1e-4)


def test_a_gradient_reaches_gamma_and_beta() -> None:
    norm = PONO(4)
    norm(torch.randn(1, 4, 2, 2)).square().sum().backward()
    assert norm.gamma.grad.abs().sum() > 0
    assert norm.beta.grad.abs().sum() > 0


def test_it_is_installed_as_a_wheel() -> None:
    files = importlib.metadata.files("i2i-pono") or []
    assert any(file.name == "norm.py" for file in files)  # an editable install would list a .pth file instead


def test_it_is_found_listed_and_described(tmp_path: Path) -> None:
    assert "pono" in i2i("plugins", cwd=tmp_path)
    assert "pono" in i2i("list", "norm", cwd=tmp_path)
    assert "affine" in i2i("describe", "norm.pono", cwd=tmp_path)


def test_its_recipe_trains(tmp_path: Path) -> None:
    small = ["translator.generator.channels=4", "translator.generator.blocks=1", "train.steps=2", "train.workers=0"]
    small += ["train.sample_every=0", "train.log_every=1", "train.batch_size=1", "data.count=4"]
    i2i("train", "pono_quickstart", "--output", "run", *(f"--set={setting}" for setting in small), cwd=tmp_path)
    assert 'type = "pono"' in (tmp_path / "run" / "recipe.toml").read_text()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2]
