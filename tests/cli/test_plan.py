"""`i2i plan`: what it prints and its exit status."""

from __future__ import annotations

import re

import pytest
import torch

from i2i.cli import run
from i2i.cli.plan import duration
from i2i.engine import planning
from i2i.engine.planning import Plan, predict
from i2i.recipe.recipe import Recipe

RECIPE = ("plan", "pix2pix_small", "--device", "cpu", "--set", "translator.discriminators.local.layers=3")
ON = ("--set", "train.gradient_checkpointing=true", "--set", "train.precision=bf16")
Captured = pytest.CaptureFixture[str]

known: dict[str, Plan] = {}


def predicted(recipe: Recipe, device: torch.device) -> Plan:
    """Predict each recipe once for all tests."""
    text = f"{recipe.to_toml()}{device}"
    if text not in known:
        known[text] = predict(recipe, device)
    return known[text]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "predict", predicted)


def test_memory_and_work_are_printed(capsys: Captured) -> None:
    assert run([*RECIPE]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pix2pix_small: 32 px, batch 4, fp32, for cpu\n")
    assert re.search(r"^parameters: .*discriminators [\d.]+ M", out, re.MULTILINE)
    sizes = dict(re.findall(r"^(weights|optimizer|gradients|activations|peak) +([\d,]+)", out, re.MULTILINE))
    assert len(sizes) == 5
    assert re.search(r"^[\d.,]+ GFLOP per step$", out, re.MULTILINE)
    assert re.search(r"^[\d,]+ operations per step; [\d.]+ GiB moved by matrix products", out, re.MULTILINE)
    assert "least time" not in out


def test_a_device_that_is_not_here(capsys: Captured) -> None:
    assert run(["plan", "pix2pix_small", "--device", "cuda"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pix2pix_small: 32 px, batch 4, fp32, for cuda\n")
    assert re.search(
        r"^least time of a step on paper \(h200\): launches [\d.]+ ms, .*; bound by launches$", out, re.MULTILINE
    )
    assert "  --set train.batch_size=8" in out
    assert run(["plan", "pix2pix_small", "--device", "cuda", "--gpu", "h20"]) == 2
    assert "expected one of h200, h100, a100, rtx4090, t4, got 'h20'" in capsys.readouterr().err
    assert run(["plan", "pix2pix_small", "--device", "gpu"]) == 2
    assert "Invalid value for --device: no kind of device: 'gpu'; try cpu or cuda" in capsys.readouterr().err


@pytest.mark.thorough
def test_switches_that_make_it_fit(capsys: Captured) -> None:
    assert run([*RECIPE, "--vram", "8GB"]) == 0
    assert capsys.readouterr().out.endswith("it fits as it is\n")
    assert run([*RECIPE, *ON, "--set", "train.batch_size=64", "--vram", "24 mib"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^none +\d+ +no", out, re.MULTILINE)
    assert re.search(r"^train.batch_size=1 train.accumulate=64 +\d+ +yes", out, re.MULTILINE)
    assert re.search(r"^data.size=16 +not possible: .*levels", out, re.MULTILINE)
    assert out.splitlines()[-1] == "add: --set train.batch_size=1 --set train.accumulate=64"


@pytest.mark.thorough
def test_nothing_that_fits(capsys: Captured) -> None:
    assert run([*RECIPE, *ON, "--vram", "1MB"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"none of these fits: the least is \d+ MiB, and tensors can fill 90% of 1 MiB. Choose", last)


@pytest.mark.parametrize("size", ["8", "8 apples", "GB", "0GB", "-1GB"])
def test_an_illegal_size(size: str, capsys: Captured) -> None:
    assert run([*RECIPE, "--vram", size]) == 2
    assert f"expected a size in GB, GiB, MB or MiB, such as 8GB, got {size!r}" in " ".join(
        capsys.readouterr().err.split()
    )


def test_measured_steps(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "measure", lambda recipe: (2.5, 100 * 2**20))
    assert run([*RECIPE, "--measure", "--set", "train.steps=1000"]) == 0
    assert "2.5 s per step (42 min for 1,000 steps), 100 MiB\n" in capsys.readouterr().out
    monkeypatch.setattr(planning, "measure", lambda recipe: (2e-5, None))
    assert run([*RECIPE, "--measure", "--set", "train.steps=1000"]) == 0
    out = capsys.readouterr().out
    assert "2e-05 s per step (less than a second for 1,000 steps), memory not reported by this system" in out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (1, "1 s"), (99, "99 s"), (100, "1.7 min"), (7200, "2 h"), (1e6, "12 days")],
)
def test_durations_are_never_zero(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_illegal_recipe_is_refused_as_by_check(capsys: Captured) -> None:
    assert run(["plan", "pix2pix_small", "--set", "train.step=3"]) == 2
    assert "train.step" in capsys.readouterr().err
