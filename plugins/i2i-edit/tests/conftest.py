"""Shared fixtures: this plugin and i2i-stylegan are loaded; the folder of official figures; a small generator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_figures import Figures, read
from PIL import Image
from plugin_fixtures import official_folder, pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest.importorskip("i2i_edit", reason="the plugin i2i-edit is not installed")

from i2i_edit.labelled_samples import write_samples
from i2i_edit.segmentation import Classes

import i2i
from i2i.core.plugins import default_plugins
from i2i.data.images import read_image
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded


@pytest.fixture(autouse=True)
def _these_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recipes and components of i2i, of this plugin and of i2i-stylegan, whatever else is installed."""
    monkeypatch.setenv("I2I_PLUGINS", "stylegan,edit")
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


@pytest.fixture
def golden() -> Callable[[str], Figures]:
    """Read a file of the set of official figures that I2I_GOLDEN names, such as `sefa/factorize`."""

    def figures(name: str) -> Figures:
        folder, _, file = name.rpartition("/")
        assert (Path(official_folder(folder)) / f"{file}.safetensors").is_file()
        return read(official_folder(folder), file)

    return figures


SMALL: dict[str, Any] = {
    "translator.generator.z_dim": 8,
    "translator.generator.w_dim": 8,
    "translator.generator.channel_base": 128,
    "translator.generator.channel_max": 16,
    "data": {"type": "one_domain", "data": {"type": "shapes", "size": 16}},
}


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """An untrained StyleGAN2 of 16 px with a run folder."""
    torch.manual_seed(0)
    recipe = Recipe.read("stylegan2_small", SMALL)
    translator = build(recipe, training=False).eval().requires_grad_(False)
    folder = tmp_path / "run"
    folder.mkdir()
    return Loaded(recipe, translator, 1, folder=folder)


@pytest.fixture
def translator(loaded: Loaded) -> Any:
    """Translator of `loaded`."""
    return loaded.translator


@pytest.fixture
def classes() -> Classes:
    """Classes of pixels by brightness."""
    return Classes.parse([("dark", "#000000"), ("light", "#ffffff")], "test")


@pytest.fixture
def labelled(translator: Any, classes: Classes, tmp_path: Path) -> Path:
    """Six samples of `loaded`, labelled by their brightness."""
    folder = tmp_path / "labelled"
    write_samples(
        translator, {f"seed{number}": ws for number, ws in enumerate(translator.styles(range(6)))}, classes, folder
    )
    _label_by_brightness(folder)
    return folder


@pytest.fixture
def label_by_brightness() -> Callable[[Path], None]:
    """Write a label map for each image of a folder of samples."""
    return _label_by_brightness


def _label_by_brightness(folder: Path) -> None:
    for path in sorted((folder / "images").iterdir()):
        bright = np.asarray(read_image(path)).mean(2) > 128
        Image.fromarray(np.repeat(bright[..., None] * np.uint8(255), 3, 2)).save(folder / "labels" / path.name)


TINY: dict[str, Any] = {
    **SMALL,
    "data": {"type": "one_domain", "data": {"type": "portraits", "size": 16}, "of": ["b"]},
}
"""Settings of a StyleGAN2 that is built in no time."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a tiny StyleGAN2 after one step."""
    return trained("stylegan2_small", TINY, tmp_path_factory.mktemp("runs") / "tiny")


def trained(recipe: str, settings: dict[str, Any], folder: Path, steps: int = 1) -> Path:
    """Train a recipe for some steps and return its run folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_PLUGINS", "stylegan,edit")
        default_plugins.cache_clear()
        loop = {"train.steps": steps, "train.batch_size": 4, "train.workers": 0, "train.sample_every": 0}
        i2i.train(i2i.Recipe.read(recipe, {**settings, **loop}), folder)
    default_plugins.cache_clear()
    return folder


ENCODER_TINY = {
    "translator.channels": 8,
    "translator.real_after": 1,
    "losses.perceptual.features": {"type": "timm", "weights": "untrained"},
    "losses.generated_perceptual.features": {"type": "timm", "weights": "untrained"},
    **{key: value for key, value in TINY.items() if key.startswith("translator.generator") or key == "data"},
}
CAPTIONS_TINY = {"translator.channels": 8, "translator.width": 64, "data.size": 16, "data.count": 8}


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("caption_encoder", CAPTIONS_TINY, tmp_path_factory.mktemp("captions") / "captions", steps=2)


@pytest.fixture(scope="session")
def encoder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {**ENCODER_TINY, "train.init": str(run_folder)}
    return trained("style_encoder_small", settings, tmp_path_factory.mktemp("encoder") / "encoder", steps=2)


@pytest.fixture(scope="session")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of another tiny StyleGAN2."""
    return trained("stylegan2_small", {**TINY, "train.seed": 5}, tmp_path_factory.mktemp("other") / "other")
