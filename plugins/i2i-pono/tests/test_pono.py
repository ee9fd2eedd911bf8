"""The sample plugin: its formula, and that i2i finds, lists and trains it as installed."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from i2i.cli import run
from i2i.core.plugins import default_plugins

PONO = pytest.importorskip("i2i_pono.norm", reason="the plugin i2i-pono is not installed").PONO


@pytest.fixture
def i2i(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """The command line with this plugin, found by its entry point."""

    def i2i(*arguments: str) -> str:
        assert run([*arguments]) == 0
        return capsys.readouterr().out

    monkeypatch.setenv("I2I_PLUGINS", "pono")
    default_plugins.cache_clear()
    yield i2i
    default_plugins.cache_clear()


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


def test_it_is_found_listed_and_described(i2i: Callable[..., str]) -> None:
    assert "pono" in i2i("plugins")
    assert "pono" in i2i("list", "norm")
    assert "affine" in i2i("describe", "norm.pono")


def test_its_recipe_trains(i2i: Callable[..., str], tmp_path: Path) -> None:
    small = ["translator.generator.channels=4", "translator.generator.blocks=1", "train.steps=2", "train.workers=0"]
    small += ["train.sample_every=0", "train.log_every=1", "train.batch_size=1", "data.count=4", "data.size=32"]
    i2i("train", "pono_quickstart", "--output", str(tmp_path / "run"), *(f"--set={setting}" for setting in small))
    assert 'type = "pono"' in (tmp_path / "run" / "recipe.toml").read_text()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2]
