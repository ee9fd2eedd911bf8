"""`i2i plan` in words."""

from __future__ import annotations

import re

import pytest

from i2i.cli import run
from i2i.engine import pace, planning
from i2i.engine.pace import Measured
from i2i.engine.planning import Plan, predict
from i2i.recipe.recipe import Recipe

RECIPE = ("plan", "pix2pix_small", "--set", "translator.discriminators.local.layers=3")
ON = ("--set", "train.gradient_checkpointing=true", "--set", "train.precision=bf16")
Captured = pytest.CaptureFixture[str]


known: dict[str, Plan] = {}


def predicted(recipe: Recipe) -> Plan:
    """What is foreseen for a recipe, the same for all tests."""
    text = recipe.to_toml()
    if text not in known:
        known[text] = predict(recipe)
    return known[text]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No operation is tried, and what was foreseen for one test is not foreseen again for the next."""
    monkeypatch.setattr(pace, "_seconds", lambda *_: 1e-3)
    monkeypatch.setattr(planning, "predict", predicted)


def test_what_a_recipe_needs(capsys: Captured) -> None:
    assert run([*RECIPE]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pix2pix_small: 32 px, batch 4, fp32")
    assert re.search(r"^parameters: .*discriminators [\d.]+ M", out, re.MULTILINE)
    sizes = dict(re.findall(r"^(weights|optimizer|gradients|activations|peak) +([\d,]+)", out, re.MULTILINE))
    assert len(sizes) == 5
    assert "held by a process on a CPU" in out
    assert re.search(r"^[\d.,]+ GFLOP a step; about [\d.e+-]+ s on cpu, an estimate", out, re.MULTILINE)


def test_what_makes_it_fit(capsys: Captured) -> None:
    assert run([*RECIPE, "--vram", "8GB"]) == 0
    assert capsys.readouterr().out.endswith("it fits as it is\n")
    assert run([*RECIPE, *ON, "--set", "train.batch_size=64", "--vram", "24 mib"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^as it is +\d+ +no", out, re.MULTILINE)
    assert re.search(r"^train.batch_size=1 train.accumulate=64 +\d+ +yes", out, re.MULTILINE)
    assert re.search(r"^data.size=16 +not possible: .*levels", out, re.MULTILINE)
    assert out.splitlines()[-1] == "add: --set train.batch_size=1 --set train.accumulate=64"


def test_what_nothing_makes_fit(capsys: Captured) -> None:
    assert run([*RECIPE, *ON, "--vram", "1MB"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"nothing of this fits: the least is \d+ MiB, and 90% of 1 MiB can be filled. Choose", last)


@pytest.mark.parametrize("size", ["8", "8 apples", "GB", "0GB", "-1GB"])
def test_a_size_that_is_none_is_told(size: str, capsys: Captured) -> None:
    assert run([*RECIPE, "--vram", size]) == 2
    assert f"expected a size in GB, GiB, MB or MiB, such as 8GB, got {size!r}" in " ".join(
        capsys.readouterr().err.split()
    )


def test_real_steps_stand_beside_it(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "measure", lambda recipe: Measured(2.5, 100 * 2**20))
    assert run([*RECIPE, "--measure"]) == 0
    assert re.search(
        r"^measured on cpu: 2.5 s a step, 100 MiB \(foreseen \d+, ratio 0\.\d\d\)", capsys.readouterr().out, re.M
    )
    monkeypatch.setattr(pace, "measure", lambda recipe: Measured(2.5, None))
    assert run([*RECIPE, "--measure"]) == 0
    assert "2.5 s a step, memory: the system does not say" in capsys.readouterr().out


def test_a_recipe_that_is_wrong_is_told_as_by_check(capsys: Captured) -> None:
    assert run(["plan", "pix2pix_small", "--set", "train.step=3"]) == 2
    assert "train.step" in capsys.readouterr().err
