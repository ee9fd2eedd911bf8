"""The data set `styles`: a folder of contents and a folder of numbered style images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from i2i_style.styles import Styles
from PIL import Image

from i2i.core.contracts import Stream
from i2i.engine.trainer import train
from i2i.errors import DataError
from i2i.recipe.recipe import Recipe

FEATURES = {"type": "timm", "model": "test_efficientnet", "weights": "untrained"}
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for domain, count in (("a", 4), ("b", 3)):
        (tmp_path / domain).mkdir()
        for index in range(count):
            Image.new("RGB", (40, 24), COLOURS[index % 3]).save(tmp_path / domain / f"{index}.png")
    return tmp_path


def test_each_sample_holds_the_number_of_its_style(folders: Path) -> None:
    data = Styles(folders / "a", folders / "b", size=16, style_size=24)
    assert (data.styles, len(data)) == (3, 4)
    samples = [data[number] for number in range(9)]
    for sample in samples:
        style, image = sample["style"], sample["b"]
        assert isinstance(style, torch.Tensor)
        assert isinstance(image, torch.Tensor)
        assert image.shape == (3, 24, 24)
        assert int(image.mean((1, 2)).argmax()) == int(style)
        assert sample["a"].shape == (3, 16, 16)  # type: ignore[attr-defined]
        assert sample["skipped"] == []
    numbers = [int(sample["style"]) for sample in samples]  # type: ignore[call-overload]
    assert all(sorted(numbers[start : start + 3]) == [0, 1, 2] for start in (0, 3, 6))


def test_previews_have_one_size(folders: Path) -> None:
    rows = Styles(folders / "a", folders / "b", size=16, style_size=24).preview(4)
    assert rows["a"].shape == (4, 3, 16, 16)
    assert rows["b"].shape == (3, 3, 16, 16)


def test_styles_of_another_size_than_the_contents_train(folders: Path, tmp_path: Path) -> None:
    settings = {
        "data": {"type": "styles", "a": folders / "a", "b": folders / "b", "size": 32, "style_size": 48},
        "translator.generator.norm.styles": 3,
        "translator.generator.channels": 4,
        "translator.generator.blocks": 1,
        "losses.style": {"features": FEATURES, "taps": ["bn1", "blocks.1.0.bn1"]},
        "losses.content": {"features": FEATURES, "taps": ["blocks.1.0.bn1"]},
        "train.steps": 2,
        "train.workers": 0,
        "train.batch_size": 2,
        "train.threads": 1,
    }
    recipe = Recipe.read("fast_style_small", settings)
    assert {name: stream.size for name, stream in recipe.streams.items()} == {
        "a": (32, 32),
        "b": (48, 48),
        "style": None,
    }
    run = train(recipe, tmp_path / "run")
    assert run.step == 2
    assert run.dataset.streams == recipe.streams | {"style": Stream("label", 3)}


def test_one_image_is_one_style(folders: Path) -> None:
    data = Styles(folders / "a", folders / "b" / "1.png", size=16)
    assert data.styles == 1
    assert [int(data[number]["style"]) for number in range(3)] == [0, 0, 0]  # type: ignore[call-overload]


def test_missing_folders_and_damaged_styles_are_errors(folders: Path) -> None:
    with pytest.raises(DataError) as caught:
        Styles(folders / "a")
    assert str(caught.value) == (
        "expected contents and styles: give data.a, a folder, and data.b, a folder or one image"
    )
    (folders / "b" / "1.png").write_bytes(b"no image at all")
    with pytest.raises(DataError, match=r"cannot read .*1\.png: its bytes are of no known image format"):
        Styles(folders / "a", folders / "b", size=16)
