"""DatasetGAN: classifiers of pixels in bounded memory, label folders, the written set and its recipe, messages."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import i2i_stylegan.command
import numpy as np
import pytest
import torch
from i2i_edit.classifier_training import LabelledPixels, train_ensemble, without_small_classes
from i2i_edit.labelled_samples import train_segmenter
from i2i_edit.labelled_set import write_labelled_set
from i2i_edit.pixel_classifier import PixelEnsemble
from i2i_edit.pixel_features import features_at, render, upsampled
from i2i_edit.segmentation import Classes, Segmenter
from PIL import Image

from i2i.cli import run as command
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_features_of_some_pixels_are_those_of_all(translator: Any, mode: Any) -> None:
    features = render(translator, translator.styles([3])).features
    every = upsampled(features, (16, 16), mode)[0].flatten(1).t()
    pixels = torch.tensor([0, 15, 16, 100, 255])
    assert torch.allclose(features_at(features, (16, 16), pixels, mode), every[pixels], atol=1e-5)
    assert [one.shape[2] for one in features] == [4, 4, 8, 8, 16, 16]
    wide = [one.double() for one in features]  # in float64 also where the factor is no power of two
    every = upsampled(wide, (24, 48), mode)[0].flatten(1).t()
    assert torch.allclose(features_at(wide, (24, 48), torch.arange(24 * 48), mode), every, rtol=0, atol=1e-12)


def test_drawn_features_fit_into_memory(translator: Any) -> None:
    features = render(translator, translator.styles([0])).features
    channels = sum(one.shape[1] for one in features)
    labels = torch.zeros(3, 16, 16, dtype=torch.int64)
    labels[:, 8:] = 1
    pixels = LabelledPixels([lambda: features] * 3, labels, memory=3 * 10 * channels * 4)
    x, y = pixels.draw(torch.Generator().manual_seed(0))
    assert (x.shape, y.shape) == ((30, channels), (30,))
    again, _ = pixels.draw(torch.Generator().manual_seed(1))
    assert not torch.equal(x, again)
    whole, classes = LabelledPixels([lambda: features] * 3, labels).draw(torch.Generator())
    assert whole.shape[0] == 3 * 256
    assert torch.equal(classes.view(3, 16, 16), labels)


def test_small_classes_become_the_first_one() -> None:
    labels = torch.zeros(2, 8, 8, dtype=torch.int64)
    labels[0, :2] = 2
    labels[1, 0] = 2
    cleaned = without_small_classes(labels, 10)
    assert (int((cleaned[0] == 2).sum()), int((cleaned[1] == 2).sum())) == (16, 0)


def test_a_segmenter_learns_and_is_kept_with_its_generator(
    translator: Any, labelled: Path, classes: Classes, tmp_path: Path
) -> None:
    segmenter = train_segmenter(translator, labelled, members=2, max_epochs=6)
    rendered = render(translator, translator.styles([50]))
    found = segmenter.segment(rendered.features, (16, 16))
    truth = (translator.output_image(rendered.image)[0].mean(0) > 0).long()
    assert float((found.labels == truth).float().mean()) > 0.85
    assert 0 <= found.uncertainty <= np.log(2)
    path = tmp_path / "classifiers.safetensors"
    segmenter.save(path)
    again = Segmenter.load(translator, path)
    assert torch.equal(again.segment(rendered.features, (16, 16)).divergence, found.divergence)
    assert again.classes == classes
    with torch.no_grad():
        translator.generator.synthesis.b4.const.add_(1)
    with pytest.raises(I2IError, match="these classifiers belong to another generator"):
        Segmenter.load(translator, path)


def test_the_written_set_is_what_recipes_train_on(translator: Any, labelled: Path, tmp_path: Path) -> None:
    segmenter = train_segmenter(translator, labelled, members=2, max_epochs=2)
    target = tmp_path / "set"
    assert write_labelled_set(segmenter, range(100, 110), target, discard=0.3) == 7
    with (target / "uncertainty.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = [float(row["uncertainty"]) for row in rows if row["kept"] == "1"]
    left_out = [float(row["uncertainty"]) for row in rows if row["kept"] == "0"]
    assert len(kept) == 7
    assert max(kept) <= min(left_out)
    assert len(list((target / "images").iterdir())) == len(list((target / "labels").iterdir())) == 7
    assert not list(tmp_path.glob(".*"))
    for source in "ab":
        small = {"translator.generator.channels": 4, "translator.discriminators.local.channels": 4, "train.workers": 0}
        small |= {"translator.source": source, "translator.generator.levels": 4}
        small |= {"translator.discriminators.local.layers": 3, "data.min_images": 1}
        recipe = Recipe.read(str(target / "train.toml"), small)
        assert recipe.image_size == (16, 16)
        Stepper(recipe)
    with pytest.raises(I2IError, match="expected a folder that does not exist yet"):
        write_labelled_set(segmenter, range(4), target)


@pytest.fixture
def run(loaded: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Callable[..., str]:
    """`run(*arguments)`: output of `i2i dataset-gan` with the small generator in place of a run's."""
    monkeypatch.setattr(i2i_stylegan.command, "load", lambda run, device: loaded)

    def invoke(name: str, *arguments: object, status: int = 0) -> str:
        capsys.readouterr()
        assert command(["dataset-gan", name, str(loaded.folder), *map(str, arguments)]) == status
        return "".join(capsys.readouterr())

    return invoke


def test_commands_from_samples_to_a_set(
    run: Callable[..., str], label_by_brightness: Callable[[Path], None], tmp_path: Path
) -> None:
    classes = ["--class", "dark=#000000", "--class", "light=#ffffff"]
    assert "4 images in" in run("samples", tmp_path / "some", "--seeds", "0-3", *classes)
    label_by_brightness(tmp_path / "some")
    assert "1 classifiers of 2 classes" in run("train", tmp_path / "some", "--members", 1, "--max-epochs", 2)
    assert "4 images with label maps" in run("generate", tmp_path / "made", "--count", 5, "--discard", 0.2)


def test_messages(run: Callable[..., str], labelled: Path, tmp_path: Path) -> None:
    """Each mistake of labels gives one sentence."""

    def message(name: str, *arguments: object) -> str:
        return run(name, *arguments, status=2)

    assert "expected classifiers of pixels, found nothing" in message("generate", tmp_path / "x")
    assert "expected NAME=#RRGGBB" in message("samples", tmp_path / "x", "--class", "hair")
    assert "expected colours such as '#ff0000', got 'red'" in message(
        "samples", tmp_path / "x", "--class", "hair=red", "--class", "skin=#ffffff"
    )
    labels = labelled / "labels"
    Image.new("RGB", (15, 16)).save(labels / "seed0.png")
    assert "expected a label map of 16 x 16 pixels, as large as the run's images, got 15 x 16" in message(
        "train", labelled
    )
    Image.new("RGB", (16, 16), (255, 0, 0)).save(labels / "seed0.png")
    assert "the colour #ff0000 in row 0, column 0 belongs to no class" in message("train", labelled)
    (labels / "seed0.png").rename(labels / "other.png")
    assert "there is no sample 'other'" in message("train", labelled)
    for path in labels.iterdir():
        path.unlink()
    for name in ("seed0.png", "seed1.png"):
        Image.new("RGB", (16, 16)).save(labels / name)
    assert "no label map has the class light" in message("train", labelled)
    (labels / "seed1.png").unlink()
    assert "expected label maps of at least 2 samples" in message("train", labelled)


def test_one_class_cannot_be_learned() -> None:
    pixels = LabelledPixels([lambda: [torch.zeros(1, 3, 4, 4)]], torch.zeros(1, 4, 4, dtype=torch.int64))
    with pytest.raises(I2IError, match="expected labels of at least two classes"):
        train_ensemble(pixels, 2, members=1)


def test_another_generator_has_other_features(translator: Any, classes: Classes) -> None:
    with pytest.raises(I2IError, match="these classifiers take 7 features of a pixel, and this generator has"):
        Segmenter(translator, PixelEnsemble(7, 2, 1), classes)
