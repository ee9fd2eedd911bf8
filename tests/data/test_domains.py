"""Any number of domains: layouts, sampling, and what is wrong with folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from i2i.core.contracts import Stream
from i2i.data.domains import Domains
from i2i.demo.shape_domains import ShapeDomains
from i2i.errors import DataError, OptionError

NAMES = ("cat", "dog", "wild")
COLORS = {"cat": (255, 0, 0), "dog": (0, 255, 0), "wild": (0, 0, 255)}
LAYOUTS = {
    "train/{name}": "val/{name}",
    "{name}/train": "{name}/test",
    "train_{name}": "test_{name}",
    "train{name}": "test{name}",
    "{name}": "test_{name}",
}


def fill(folder: Path, color: tuple[int, int, int], count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (20, 24), color).save(folder / f"{number}.png")


def color_of(image: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(value) for value in (image.mean((1, 2)) * 127.5 + 127.5).round())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_belong_to_their_images_in_every_layout(tmp_path: Path, layout: str) -> None:
    for index, name in enumerate(NAMES):
        fill(tmp_path / layout.format(name=name), COLORS[name], 1 + index)
        fill(tmp_path / LAYOUTS[layout].format(name=name), COLORS[name], 2)
    dataset = Domains(tmp_path, NAMES, size=16)
    assert len(dataset) == 6
    for number in range(20):
        sample = dataset[number]
        for image, label in (("image", "label"), ("reference", "reference_label"), ("reference_2", "reference_label")):
            assert color_of(sample[image]) == COLORS[NAMES[int(sample[label])]]  # type: ignore[call-overload,arg-type]
            assert sample[image].shape == (3, 16, 16)  # type: ignore[attr-defined]
    preview = dataset.preview(3)
    assert {name: (len(images), color_of(images[0])) for name, images in preview.items()} == {
        name: (2, COLORS[name]) for name in NAMES
    }


def test_domains_are_equally_frequent_and_samples_follow_from_their_number(tmp_path: Path) -> None:
    for name, count in zip(NAMES, (1, 2, 9), strict=True):
        fill(tmp_path / name, COLORS[name], count)
    first, second = (Domains(tmp_path, NAMES, size=8, seed=3) for _ in range(2))
    labels = Counter(int(first[number]["label"]) for number in range(300))  # type: ignore[call-overload]
    assert all(70 < labels[index] < 130 for index in range(3))
    _ = second[4]
    assert all(torch.equal(first[7][key], second[7][key]) for key in ("image", "reference", "label"))  # type: ignore[arg-type]


def test_streams_name_the_domains() -> None:
    streams = Domains.declare_streams({"size": 32, "domains": NAMES})
    assert streams["label"] == streams["reference_label"] == Stream("label", 3, names=NAMES)
    assert streams["reference_2"].size == (32, 32)


def test_problems_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"give data\.root, a folder that holds a folder for each name in data\.domains"
    ):
        Domains(None, NAMES)
    with pytest.raises(DataError, match="expected the names of at least two folders"):
        Domains(tmp_path)
    fill(tmp_path / "cat", COLORS["cat"], 1)
    fill(tmp_path / "dog", COLORS["dog"], 1)
    with pytest.raises(DataError, match="wild is missing; folders there: cat, dog"):
        Domains(tmp_path, NAMES)
    with pytest.raises(OptionError, match=r"expected names of folders, got '\.\.'"):
        Domains(tmp_path, ("cat", ".."))
    fill(tmp_path / "cat" / "test", COLORS["cat"], 1)
    with pytest.raises(DataError, match="holds a folder 'test', whose images would be trained on"):
        Domains(tmp_path, ("cat", "dog"))


def test_a_damaged_image_is_replaced_and_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / name, COLORS[name], 2)
        (tmp_path / name / "a.png").write_bytes(b"none")
    dataset = Domains(tmp_path, ("cat", "dog"), size=8)
    lines = [line for number in range(10) for line in dataset[number]["skipped"]]  # type: ignore[attr-defined]
    assert any("a.png" in line for line in lines)


def test_drawn_domains_are_three_forms_of_any_colour() -> None:
    dataset = ShapeDomains(size=32)
    preview = dataset.preview(2)
    assert list(preview) == ["square", "circle", "diamond"]
    assert len({color_of(images[0]) for images in preview.values()}) == 3
    sample = dataset[0]
    assert torch.equal(sample["image"], dataset[0]["image"])  # type: ignore[arg-type]
    assert not torch.equal(sample["reference"], sample["reference_2"])  # type: ignore[arg-type]
