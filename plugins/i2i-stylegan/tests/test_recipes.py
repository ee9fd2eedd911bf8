"""Every recipe checks; the small ones train through all of their stages and sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan.export import export_generator

import i2i
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe

NAMES = [path.stem for path in (Path(__file__).parents[1] / "i2i_stylegan" / "recipes").glob("*.toml")]
WIDTHS: dict[str, dict[str, Any]] = {
    "stylegan2": {"channel_base": 64, "channel_max": 8},
    "pggan": {"channel_base": 16, "channel_max": 8},
    "stylegan1": {"channel_base": 16, "channel_max": 8},
    "biggan": {"channels": 8},
    "infogan": {"channels": 4},
    "cgan": {"channels": 4},
    "makegirlsmoe": {"channels": 4},
}
SMALL = [
    f"{name}_small" for name in ("pggan", "stylegan1", "biggan", "stylegan2_ada", "infogan", "cgan", "makegirlsmoe")
]
STAGES = [{"size": 8, "stable": 1}, {"size": 16, "fade": 2, "stable": 1}]


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_checks(name: str) -> None:
    dry_run(Recipe.read(name))


def tiny(name: str) -> dict[str, Any]:
    """Settings that make a small recipe train for four steps in a test."""
    method = name.removesuffix("_small").removesuffix("_ada")
    settings: dict[str, Any] = {"train.steps": 4, "train.batch_size": 4, "train.workers": 0, "train.sample_every": 0}
    inner = "image.discriminator" if "ada" in name else "image"
    settings |= {f"translator.generator.{key}": value for key, value in WIDTHS[method].items()}
    settings |= {f"translator.discriminators.{inner}.{key}": value for key, value in WIDTHS[method].items()}
    if method in ("pggan", "stylegan1"):
        settings |= {"translator.stages": STAGES, "data.data.size": 16}
    return settings


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_train_and_sample(name: str, tmp_path: Path) -> None:
    i2i.train(Recipe.read(name, tiny(name)), tmp_path / "run")
    loaded = i2i.load(tmp_path / "run", device="cpu")
    size = loaded.recipe.image_size[0]
    assert loaded.sample(2, seed=1).shape == (2, 3, size, size)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_generators_are_exported(name: str, tmp_path: Path) -> None:
    """An exported generator computes the same at another batch size; a difference above 1e-5 would be refused."""
    pytest.importorskip("onnxruntime", reason="needs the extra i2i[export]")
    settings = tiny(name)
    if name in ("pggan_small", "stylegan1_small"):
        # A pixel whose few features are all near 0 would be divided by nearly 0, which magnifies any rounding.
        for network in ("generator", "discriminators.image"):
            settings |= {f"translator.{network}.channel_base": 128, f"translator.{network}.channel_max": 16}
    i2i.train(Recipe.read(name, settings), tmp_path / "run")
    assert export_generator(i2i.load(tmp_path / "run", device="cpu"), tmp_path / "generator.onnx") <= 1e-5
    assert (tmp_path / "generator.onnx").stat().st_size > 1000


@pytest.mark.parametrize("name", ["pggan_small", "stylegan1_small"])
def test_fading_is_continuous(name: str) -> None:
    """Images at share 0 of a new size are those of the old size; the share 1 needs the old size no longer."""
    settings = {"translator.stages": STAGES, "data.data.size": 16, "train.ema": "none"}
    method = name.removesuffix("_small")
    settings |= {f"translator.generator.{key}": value for key, value in WIDTHS[method].items()}
    stepper = Stepper(Recipe.read(name, settings))
    translator: Any = stepper.translator
    translator.eval()
    with torch.no_grad():
        translator.at_step_(0)
        small = translator.sample([1, 2])
        translator.at_step_(1)  # the first step of the fade
        torch.testing.assert_close(translator.sample([1, 2]), small)
        translator.at_step_(2)
        faded = translator.sample([1, 2])
        assert not torch.equal(faded, small)
        translator.at_step_(3)
        size, alpha = translator.level.size, translator.level.alpha
        assert (size, alpha) == (16, 1.0)
    assert list(translator.reset_optimizers(1)) == ["discriminator", "generator"]
    assert list(translator.reset_optimizers(2)) == []
