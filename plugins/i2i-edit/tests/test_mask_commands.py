"""`i2i edit` with label maps, as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from i2i_edit.segmentation import Segmenter
from i2i_edit.vectors import load_vector
from PIL import Image

from i2i.cli import run as command
from i2i.use.loaded import load


@pytest.fixture
def classifiers(run_folder: Path, tmp_path: Path, label_by_brightness: Any) -> Path:
    """Classifiers of the run's pixels, trained on four samples."""
    path, folder = tmp_path / "classifiers.safetensors", tmp_path / "labelled"
    named = ["--class", "dark=#000000", "--class", "light=#ffffff"]
    assert command(["dataset-gan", "samples", str(run_folder), str(folder), "--seeds", "0-3", *named]) == 0
    label_by_brightness(folder)
    some = ["--members", "1", "--max-epochs", "2", "--output", str(path)]
    assert command(["dataset-gan", "train", str(run_folder), str(folder), *some]) == 0
    return path


def test_masks_are_edited_and_their_vectors_applied(
    run_folder: Path, classifiers: Path, tmp_path: Path, capsys: Any
) -> None:
    mask, out, vector = tmp_path / "mask.png", tmp_path / "out.png", tmp_path / "edit.safetensors"
    edit = ["edit", str(run_folder), "--seed", "3", "--classifiers", str(classifiers), "--output", str(out)]
    assert command([*edit, "--save-mask", str(mask)]) == 0
    plain = np.array(Image.open(out))
    pixels = np.array(Image.open(mask))
    pixels[:5] = 255 - pixels[:5]
    Image.fromarray(pixels).save(mask)
    assert command([*edit, "--mask", str(mask), "--mask-steps", "4", "--save-vector", str(vector)]) == 0
    edited = np.array(Image.open(out))
    assert not np.array_equal(plain, edited)
    assert load_vector(vector).notes["classes"]
    assert command([*edit, "--vector", str(vector)]) == 0
    assert np.abs(np.subtract(np.array(Image.open(out)), edited, dtype=int)).max() <= 1
    assert command([*edit, "--vector", f"{vector}:1.5", "--refine", "3"]) == 0

    def refused(*arguments: object) -> str:
        capsys.readouterr()
        assert command([*edit, *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "refine: expected a vector that was saved from an edit of a mask, got none" in refused("--refine", 3)
    Image.new("RGB", (8, 8)).save(mask)
    assert "expected a label map of 16 x 16 pixels, as large as the run's images, got 8 x 8" in refused("--mask", mask)
    Image.new("RGB", (16, 16), "red").save(mask)
    assert "belongs to no class" in refused("--mask", mask)


def test_classifiers_of_another_generator_are_refused(run_folder: Path, classifiers: Path, other_run: Path) -> None:
    translator = load(run_folder, "cpu").translator
    assert Segmenter.load(translator, classifiers).classes.names == ("dark", "light")
    edit = ["edit", str(other_run), "--seed", "3", "--classifiers", str(classifiers), "--save-mask", "x.png"]
    assert command(edit) == 2
