"""Tables that the library `datasets` wrote: saved to disk, and as Parquet."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from i2i.data.folders import Folders
from i2i.data.paired import Paired
from i2i.data.sources.locate import Place, locate
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, imported by the tests alone, as that takes seconds."""
    library = pytest.importorskip("datasets", reason="needs i2i[datasets]")
    library.disable_progress_bars()
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return library


def table(library: Any, root: Path, folders: dict[str, str]) -> Any:
    """One column of images from each folder, which have equally many; or one with classes."""
    features = {column: library.Image() for column in folders}
    images = {
        column: [{"bytes": path.read_bytes(), "path": path.name} for path in sorted((root / folder).glob("[0-9]*.png"))]
        for column, folder in folders.items()
    }
    return library.Dataset.from_dict(images, features=library.Features(features))


def contents(place: Place) -> dict[str, bytes]:
    assert isinstance(place, SourcePath)
    return {path.relative_to(place).as_posix(): path.open("rb").read() for path in place.files()}


def read(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(path.glob("[0-9]*.png"))]


def test_splits_columns_and_classes_are_folders(library: Any, root: Path, tmp_path: Path) -> None:
    pairs = library.DatasetDict(
        {
            "train": table(library, root, {"x": "testA", "y": "testB"}),
            "test": table(library, root, {"x": "testB", "y": "testA"}),
        }
    )
    pairs.save_to_disk(tmp_path / "saved")
    place = locate(tmp_path / "saved")
    expected = dict(
        zip(
            ["test/x/0000000.png", "test/x/0000001.png", "test/y/0000000.png", "test/y/0000001.png"],
            read(root / "testB") + read(root / "testA"),
            strict=True,
        )
    )
    assert {name: data for name, data in contents(place).items() if name.startswith("test/")} == expected
    assert contents(pickle.loads(pickle.dumps(place))) == contents(place)
    assert list(contents(locate(tmp_path / "saved" / "train" / "x")).values()) == read(root / "testA")

    images = [{"bytes": data, "path": None} for data in read(root / "trainA")]
    kinds = library.Features({"image": library.Image(), "kind": library.ClassLabel(names=["horse", "zebra"])})
    classes = library.Dataset.from_dict({"image": images, "kind": [0, 1, 0, 1, 0, 1, 0]}, features=kinds)
    (tmp_path / "parquet" / "data").mkdir(parents=True)
    classes.to_parquet(tmp_path / "parquet" / "data" / "train-00000-of-00001.parquet")
    classes.select([1]).to_parquet(tmp_path / "parquet" / "data" / "test-00000-of-00001.parquet")
    horses = locate(tmp_path / "parquet" / "train" / "horse")
    assert list(contents(horses).values()) == read(root / "trainA")[::2]
    assert [path.name for path in horses.iterdir()][:2] == ["0000000.png", "0000002.png"]
    one = locate(tmp_path / "parquet" / "data" / "train-00000-of-00001.parquet")
    assert list(contents(one / "zebra").values()) == read(root / "trainA")[1::2]
    assert isinstance(one, SourcePath)
    assert one.source.notes == ("table of rows 7",)

    raw = library.Dataset.from_dict({"id": [1, 2], "blob": read(root / "testA")})
    raw.save_to_disk(tmp_path / "raw")
    assert contents(locate(tmp_path / "raw")) == dict(
        zip(["0000000.png", "0000001.png"], read(root / "testA"), strict=True)
    )


def test_messages(library: Any, root: Path, tmp_path: Path) -> None:
    library.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(DataError, match=r"/text: expected a column of images, got text \(Value\('string'\)\)$"):
        locate(tmp_path / "text")
    whole = tmp_path / "x.parquet"
    table(library, root, {"image": "trainA"}).to_parquet(whole)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"/cut\.parquet cannot be read by datasets: \S+"):
        locate(tmp_path / "cut.parquet")
    paths = library.Dataset.from_dict(
        {"image": [{"bytes": None, "path": "/etc/hostname"}]}, features=library.Features({"image": library.Image()})
    )
    paths.to_parquet(tmp_path / "paths.parquet")
    place = locate(tmp_path / "paths.parquet")
    with pytest.raises(DataError, match="the table holds no bytes of this image"):
        next(place.files()).open()  # type: ignore[union-attr]


def test_a_table_of_two_columns_is_a_root_of_domains_and_of_pairs(library: Any, root: Path, tmp_path: Path) -> None:
    splits = {"train": table(library, root, {"imageA": "testA", "imageB": "testB"})}
    splits["test"] = splits["train"].select([1])
    library.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    folders = Folders(root=tmp_path / "saved", size=8)
    assert [len(folders.train["a"]), len(folders.test["b"])] == [2, 1]
    pairs = Paired(root=tmp_path / "saved", size=8)
    for domain, name in (("a", "testA"), ("b", "testB")):
        assert [file.open("rb").read() for file in (item["ab".index(domain)] for item in pairs.train.items)] == read(
            root / name
        )
        assert [Path(file).name for file in pairs.held_out("test")[domain].names] == ["0000000.png"]
