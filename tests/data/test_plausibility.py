"""Training refuses data that cannot be meant, and says before step 1 what it passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from written_sources import files_of, noise, write_tar

from i2i.cli import run
from i2i.data.domains import Domains
from i2i.data.folders import Folders
from i2i.data.paired import Paired
from i2i.errors import DataError
from i2i.recipe.recipe import Recipe, to_setting
from i2i.recipe.source import RecipeError


def fill(folder: Path, count: int, width: int = 24, height: int = 20, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise(seed + number, width, height).save(folder / f"{number}.png")
    return folder


def refused(dataset: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        dataset(size=8, **options)
    return str(caught.value)


def overlap(**folders: Any) -> str | None:
    return Folders(size=8, **folders).overlap()


def test_an_unpaired_root_for_pairs(tmp_path: Path) -> None:
    for layout in ("trainA trainB", "train/A train/B", "a b"):
        root = tmp_path / layout.replace("/", "_")
        a, b = (fill(root / name, 3, width=48) for name in layout.split())
        message = refused(Paired, root=root)
        assert message.startswith("data.root: expected side-by-side pairs, but ")
        assert message.endswith(f"if images of equal names are pairs, give data.a = '{a}' and data.b = '{b}'")


def test_a_paired_root_for_unpaired_domains(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train", 4, width=64, height=32)
    fill(tmp_path / "set" / "test", 2, width=64, height=32)
    assert refused(Folders, root=tmp_path / "set").startswith(
        f"data.root: expected {tmp_path}/set to hold trainA and trainB, got test, train; its images are 64 x 32, twice "
        "as wide as high: for side-by-side pairs, train a recipe for pairs (data.type = 'paired'); give "
    )


def test_photos_are_not_cut_in_two(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", 5, 64, 48)
    assert refused(Paired, root=photos) == (
        f"data.root: expected side-by-side pairs, which are about twice as wide as high, but most images in {photos} "
        "are not (one has 64 x 48 pixels), and would be cut in two; give data.a and data.b, two folders with the same "
        "file names, or if they are pairs, data.aspect = [0.1, 10]"
    )
    assert len(Paired(root=photos, size=8, aspect=(1.0, 2.0))) == 5
    wide = fill(tmp_path / "panoramas", 5, 80, 20)
    assert "expected side-by-side pairs" in refused(Paired, root=wide)


def test_one_folder_twice_and_one_inside_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, inner, b = fill(tmp_path / "a", 3), fill(tmp_path / "a" / "more", 3, seed=5), fill(tmp_path / "b", 3, seed=9)
    same = f"are one folder, {a}, so each image would be in both; give two"
    assert overlap(a=a, b=a) == f"data.a and data.b {same}"
    assert str(overlap(a=a, b=b, test_a=tmp_path / "b" / ".." / "a")).startswith("data.a and data.test_a are one")
    assert overlap(a=a, b=b, val_a=inner) == (
        f"data.val_a, {inner}, lies in data.a, {a}, whose subfolders are included, so its images would be in both; "
        "give two folders next to each other"
    )
    assert str(overlap(a=inner, b=a)).startswith(f"data.a, {inner}, lies in data.b, {a}, ")
    assert overlap(a=inner, b=b, test_a=b) is None  # strange, yet nothing of a is trained on
    assert refused(Paired, a=a, b=a) == f"data.a and data.b {same}"
    tar = write_tar(tmp_path / "x.tar", files_of(a))
    assert overlap(a=tar, b=f"{tar}/more") is not None
    settings = ["--set", f"data.a={a}", "--set", f"data.b={a}", "--output", str(tmp_path / "run")]
    assert run(["train", "cyclegan_small", "--set", "data.type=folders", *settings]) == 2
    assert f"error: data.a and data.b {same}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_test_images_deep_in_a_training_folder(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a" / "set1" / "train", 3).parents[1], fill(tmp_path / "b", 3, seed=9)
    for name in ("test", "Val", "validation"):
        held_out = fill(a / "set1" / name, 1, width=48)
        message = f"{a} holds a folder 'set1/{name}', whose images would be trained on; "
        assert refused(Folders, a=a, b=b).startswith(message)
        assert refused(Paired, a=a, b=b).startswith(message)
        assert refused(Domains, root=tmp_path, domains=("a", "b")).startswith(message)
        (held_out / "0.png").unlink()
        held_out.rmdir()
    for split in ("Train", "Test", "valid"):
        fill(b / split, 3, seed=len(split))
    data = Folders(a=a, b=b, size=8)
    assert {path.parent.name for (path,) in data.train["b"].items} == {"Train"}  # type: ignore[attr-defined]
    assert [Path(name).parent.name for name in data.held_out("test")["b"].names] == ["Test"] * 3
    assert [Path(name).parent.name for name in data.held_out("val")["b"].names] == ["valid"] * 3
    assert "a" not in data.held_out("val")


def test_a_translator_that_needs_pairs(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="images of the same in both domains, and dataset 'folders' has unpaired"):
        Recipe.read("pix2pix_small", {"data.type": "folders", "data.a": tmp_path, "data.b": tmp_path})
    with pytest.raises(RecipeError, match="'shapes' has unpaired ones; set paired = true"):
        Recipe.read("pix2pix_small", {"data": {"type": "shapes"}})


def test_what_was_passed_over_is_printed_and_logged_also_where_images_are_too_few(
    tmp_path: Path,
    cheap: dict[str, object],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    a, b = fill(tmp_path / "a", 3), fill(tmp_path / "b", 3, seed=9)
    for name in ("1.HEIC", "2.HEIC", "3", "notes.txt"):
        (a / name).write_bytes(b"x")
    data = {"data.type": "paired", "data.a": str(a), "data.b": str(b), "data.size": 32, "train.steps": 1}
    settings = {key: value for key, value in cheap.items() if key != "data.count"} | data
    lines = [part for key, value in settings.items() for part in ("--set", to_setting(key, value))]
    command = ["train", "pix2pix_small", *lines, "--output", str(tmp_path / "run")]
    found = ["data.a: 3 images; passed over .HEIC 2, no suffix 1, .txt 1", "data.b: 3 images"]
    assert run(command) == 0
    assert set(found) <= set(capsys.readouterr().err.splitlines())
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert log[0]["data"] == found

    for folder in (a, b):
        noise(50).save(folder / "3.png")
    assert run(["train", "--resume", str(tmp_path / "run"), "--set", "train.steps=2"]) == 0
    assert "changed since the checkpoint: data: data.a: 4 images; passed over" in caplog.text
    for folder in (a, b):
        (folder / "3.png").unlink()
    for number in (1, 2):
        (a / f"{number}.png").unlink()
        (b / f"{number}.png").unlink()
    assert run([*command[:-1], str(tmp_path / "few")]) == 2
    assert (
        "error: data.a: 1 image; passed over .HEIC 2, no suffix 1, .txt 1. data.b: 1 image. Expected at least 2 pairs, "
        "because networks memorize fewer; to train on one image of each domain, use the recipe sincut, or set "
        "data.min_images = 1 to train on these\n"
    ) in capsys.readouterr().err
    (entry,) = (tmp_path / "few" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert "passed over .HEIC 2, no suffix 1, .txt 1" in json.loads(entry)["data"][0]
    few = Folders(a=a, b=b, size=8).too_few()
    assert few is not None
    assert "data.b: 1 image. Expected at least 3 images of each domain" in few
    assert Folders(a=a, b=b, size=8, min_images=1).too_few() is None


def test_links_are_counted(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", 3), fill(tmp_path / "b", 3, seed=9)
    Image.new("RGB", (9, 9)).save(tmp_path / "far.png")
    (a / "link.png").symlink_to(tmp_path / "far.png")
    assert Folders(a=a, b=b, size=8).summary[0] == "data.a: 3 images; passed over links 1"
