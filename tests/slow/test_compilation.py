"""Compiled networks compute what the others do; minutes, as torch's compiler takes its time. `-m slow`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import i2i
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["ugatit_small", "cut_small"])
def test_a_compiled_step_is_the_step(name: str, tiny: dict[str, object]) -> None:
    small = {"translator.generator.channels": 4, "translator.discriminators.local.channels": 4, "data.size": 32}
    settings = tiny if name == "ugatit_small" else {**small, "data.type": "shapes"}
    plain = Stepper(Recipe.read(name, settings))
    compiled = Stepper(Recipe.read(name, {**settings, "train.compile": True}))
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        images = {domain: torch.rand(1, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}
        expected, got = plain.step(images), compiled.step(images)
        assert expected.keys() == got.keys()
        for term, value in expected.items():
            assert float(got[term]) == pytest.approx(float(value), rel=1e-3), term
    assert compiled.translator.state_dict().keys() == plain.translator.state_dict().keys()


def test_a_compiled_translation_is_the_translation(tiny: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("ugatit_small", tiny)
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    batch = torch.rand(1, 3, 32, 32) * 2 - 1
    exact = i2i.load(tmp_path / "run", device="cpu").translate(batch)
    compiled = i2i.load(tmp_path / "run", device="cpu", compile=True)
    assert (compiled.translate(batch) - exact).abs().max() < 1e-5


def test_a_missing_compiler_is_explained(
    tiny: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.read("ugatit_small", tiny)
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nonexistent/g++",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch._dynamo.reset()
    loaded = i2i.load(tmp_path / "run", device="cpu", compile=True)
    with pytest.raises(I2IError, match=r"such as g\+\+\. Install one, or continue without"):
        loaded.translate(torch.rand(1, 3, 32, 64))
