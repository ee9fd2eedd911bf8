"""Every recipe checks; the small ones train through all of their stages, sample, are exported and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import i2i
from i2i.cli import run as command
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.use.export import export
from i2i.use.loaded import Loaded

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
    assert export(i2i.load(tmp_path / "run", device="cpu"), tmp_path / "generator.onnx").error <= 1e-5
    assert (tmp_path / "generator.onnx").stat().st_size > 1000


@pytest.mark.slow
def test_noise_is_an_input_of_an_exported_file(tmp_path: Path) -> None:
    """Other noise maps give other images, and the images of `sample_from`; without them the run's maps are used."""
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra i2i[export]")
    recipe = Recipe.read("stylegan2_ada_small", tiny("stylegan2_ada_small"))
    translator: Any = build(recipe, training=False).eval().requires_grad_(False)
    for module in translator.modules():
        if hasattr(module, "noise_strength"):
            module.noise_strength.fill_(0.5)
    exported = export(Loaded(recipe, translator, 0), tmp_path / "generator.onnx", noise="input")
    assert exported.inputs == ("latent", "truncation", "noise")
    session = runtime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    images = []
    for seeds in (range(5), range(5, 10)):
        inputs = translator.sample_inputs(range(5)) | {"noise": translator.sample_inputs(seeds, noise=True)["noise"]}
        (image,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        torch.testing.assert_close(torch.from_numpy(image), translator.sample_from(**inputs), atol=1e-5, rtol=0)
        images.append(image)
    assert abs(images[0] - images[1]).max() > 0.01
    recipe = Recipe.read("cgan_small", tiny("cgan_small"))
    without = Loaded(recipe, build(recipe, training=False).eval(), 0)
    with pytest.raises(I2IError, match="the generator of cgan_small has no noise maps; omit --noise input"):
        export(without, tmp_path / "x.onnx", noise="input")


@pytest.mark.parametrize("name", SMALL)
def test_images_follow_from_the_inputs_of_an_exported_file(name: str) -> None:
    recipe = Recipe.read(name, tiny(name))
    translator: Any = build(recipe, training=False).eval().requires_grad_(False)
    translator.at_step_(recipe.train.steps - 1)
    seeds = [3, 8]
    torch.testing.assert_close(translator.sample_from(**translator.sample_inputs(seeds)), translator.sample(seeds))


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


SCRIPT = """
import json, os, signal, sys
import i2i
from i2i.recipe.recipe import Recipe

class Killer:
    @i2i.hookimpl
    def step_finished(self, run, terms):
        if run.step == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

i2i.train(Recipe.read(sys.argv[1], json.loads(sys.argv[2])), sys.argv[3], extras=[Killer()])
"""
CASES = {
    # p starts above 0, so that images are augmented from the first step; it changes every 2 steps.
    "stylegan2_ada_small": {
        "translator.generator_interval": 2,
        "translator.discriminator_interval": 3,
        "translator.discriminators.image.augmentation.p": 0.5,
        "translator.discriminators.image.augmentation.interval": 2,
        "translator.discriminators.image.augmentation.kimg": 0.1,
    },
    "pggan_small": {"translator.stages": STAGES},
    "stylegan1_small": {"translator.stages": STAGES},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_killed_and_resumed(name: str, tmp_path: Path) -> None:
    """A run that is killed and resumed computes the same, bit for bit, with ADA, growth and lazy phases."""
    settings: dict[str, Any] = {**tiny(name), **CASES[name], "train.steps": 6, "train.checkpoint_every": 1}
    settings |= {"train.keep_last": 2}
    arguments = [name, json.dumps(settings), str(tmp_path / "killed"), "3"]
    environment = {**os.environ, "I2I_PLUGINS": "stylegan", "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    i2i.train(Recipe.read(name, settings), tmp_path / "whole")
    assert command(["train", "--resume", str(tmp_path / "killed")]) == 0
    whole, resumed = (tmp_path / run / "checkpoints" / "step-0000006" for run in ("whole", "killed"))
    files = sorted(file.name for file in whole.glob("*.safetensors"))
    assert files
    for file in files:
        expected, found = load_file(whole / file), load_file(resumed / file)
        assert expected.keys() == found.keys()
        assert all(expected[key].equal(found[key]) for key in expected), file
