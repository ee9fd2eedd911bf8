"""Two unpaired folders are one stream of samples that depends on the arguments and the number alone."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from i2i.core.kinds import DATASET
from i2i.data.decoding import Decoded, decode
from i2i.data.folders import Folders
from i2i.data.images import read_image
from i2i.data.sampler import epoch_order
from i2i.data.transforms import eval_transform
from i2i.errors import DataError, OptionError


def fill(folder: Path, count: int, base: int = 0, prefix: str = "") -> Path:
    """One colour an image, so that a sample tells which image it is; every third is in a subfolder."""
    for number in range(count):
        path = folder / ("sub" if number % 3 == 2 else "") / f"{prefix}{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10 + number), (base + number, 0, 0)).save(path)
    return folder


def red(sample: dict[str, object], domain: str) -> int:
    image = sample[domain]
    assert isinstance(image, Tensor)
    return round((float(image[0].mean()) + 1) * 127.5)


def same(first: dict[str, object], second: dict[str, object]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(one, two) if isinstance(one, Tensor) and isinstance(two, Tensor) else one == two
        for one, two in zip(first.values(), second.values(), strict=True)
    )


def error(**options: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        Folders(size=8, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path / "trainA", 5)
    fill(tmp_path / "trainB", 3, base=100)
    return tmp_path


@pytest.mark.parametrize(
    ("train", "test"),
    [("train{}", "test{}"), ("train/{}", "test/{}"), ("{}", "test{}")],
)
def test_layouts(tmp_path: Path, train: str, test: str) -> None:
    for place, domain in enumerate("AB"):
        fill(tmp_path / train.format(domain), 2 + place)
        fill(tmp_path / test.format(domain), 1)
    data = Folders(root=tmp_path, size=8)
    assert len(data) == 3
    assert [data.folders[f"test_{domain}"] for domain in "ab"] == [tmp_path / test.format(domain) for domain in "AB"]


def test_two_folders_and_lower_case_layout(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", 2), fill(tmp_path / "b", 4)
    assert len(Folders(a=a, b=b, size=8)) == len(Folders(root=tmp_path, size=8)) == 4


@pytest.mark.parametrize("test", ["test", "val"])
@pytest.mark.parametrize("options", [{"root": "."}, {"a": "A", "b": "B"}])
def test_a_folder_that_is_divided_into_training_and_test_is_not_trained_on_as_a_whole(
    tmp_path: Path, test: str, options: dict[str, str]
) -> None:
    for base, domain in ((0, "A"), (100, "B")):
        fill(tmp_path / domain / "train", 4, base=base)
        fill(tmp_path / domain / test, 2, base=base + 50)
    data = Folders(**{name: tmp_path / folder for name, folder in options.items()}, size=8)  # type: ignore[arg-type]
    assert {red(data[number], "a") for number in range(8)} == {0, 1, 2, 3}
    assert {red(data[number], "b") for number in range(8)} == {100, 101, 102, 103}
    assert [red({"x": image}, "x") for image in data.preview(2)["b"]] == [150, 151]
    other = fill(tmp_path / "other", 1, base=200)
    given = Folders(**{name: tmp_path / folder for name, folder in options.items()}, test_b=other, size=8)  # type: ignore[arg-type]
    assert [red({"x": image}, "x") for image in given.preview(2)["b"]] == [200]


def test_test_images_without_a_training_folder_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "test", 2)
    fill(tmp_path / "a", 2)
    fill(tmp_path / "b", 2)
    assert error(a=tmp_path / "a", b=tmp_path / "b") == (
        f"{tmp_path / 'a'} holds a folder 'test', whose images would be trained on; put the training images into a "
        "folder 'train' next to it, or give data.a and data.test_a"
    )


def test_sample(root: Path) -> None:
    sample = Folders(root=root, size=16)[0]
    assert list(sample) == ["a", "b", "skipped"]
    assert sample["skipped"] == []
    for domain in Folders.domains:
        image = sample[domain]
        assert isinstance(image, Tensor)
        assert (image.shape, image.dtype) == ((3, 16, 16), torch.float32)


def test_every_epoch_visits_every_image_once_in_its_own_order(root: Path) -> None:
    data = Folders(root=root, size=8)
    for domain, count, base in (("a", 5, 0), ("b", 3, 100)):
        seen = [red(data[number], domain) for number in range(4 * count)]
        epochs = [seen[start : start + count] for start in range(0, len(seen), count)]
        assert all(sorted(epoch) == list(range(base, base + count)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1
        # files are sorted by name, and "sub/..." comes after the digits
        names = [path.name for (path,) in data.train[domain].items]
        assert epochs[1] == [base + int(names[index][:3]) for index in epoch_order(0, domain, 1, count)]


def test_a_sample_depends_on_its_number_alone(root: Path) -> None:
    first, second = Folders(root=root, size=8), pickle.loads(pickle.dumps(Folders(root=root, size=8)))
    forward = [first[number] for number in range(12)]
    backward = [second[number] for number in reversed(range(12))][::-1]
    assert all(map(same, forward, backward))
    other = Folders(root=root, size=8, seed=1)
    assert not all(same(forward[number], other[number]) for number in range(12))


def test_augmentation_changes_between_epochs_and_flip_can_be_off(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    for domain in "ab":
        (tmp_path / domain).mkdir()
        Image.fromarray(ramp).save(tmp_path / domain / "ramp.png")
    data, straight = Folders(root=tmp_path, size=32), Folders(root=tmp_path, size=32, flip=False)

    def rises(data: Folders, number: int) -> bool:
        image = data[number]["a"]
        assert isinstance(image, Tensor)
        return bool(image[0, 0, -1] > image[0, 0, 0])

    assert {rises(data, number) for number in range(20)} == {True, False}
    assert {rises(straight, number) for number in range(20)} == {True}
    assert not same(straight[0], straight[1])  # the crop moves


def test_damaged_files_are_skipped_and_named(root: Path) -> None:
    bad = root / "trainA" / "001.png"
    bad.write_bytes(b"")
    (root / "trainA" / "000.png").write_bytes(b"not an image")
    data = Folders(root=root, size=8)
    order = epoch_order(0, "a", 0, 5).tolist()
    names = [path.name for (path,) in data.train["a"].items]
    line = f"cannot read {bad}: it is empty (0 bytes)"
    for number in range(5):
        ahead = [int(names[order[(number + step) % 5]][:3]) for step in range(5)]
        assert red(data[number], "a") == next(image for image in ahead if image > 1)
        skipped = data[number]["skipped"]
        assert isinstance(skipped, list)
        assert (line in skipped) == (1 in ahead[: [image > 1 for image in ahead].index(True)])
    # One that has met the damaged files and one that has not agree, in the lines as well.
    assert same(data[7], Folders(root=root, size=8)[7])


def test_damaged_files_are_decoded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = root / "trainB" / "000.png"
    bad.write_bytes(b"not an image")
    tried: list[Path] = []

    def counted(path: Path, *rest: Any) -> Decoded:
        tried.append(path)
        return decode(path, *rest)

    monkeypatch.setattr("i2i.data.pixels.decode", counted)
    data = Folders(root=root, size=8)
    lines = [line for number in range(9) for line in data[number]["skipped"]]  # type: ignore[attr-defined]
    assert tried.count(bad) == 1
    assert len(lines) >= 3  # reported again in each epoch: another worker may read it than in the last
    assert data.train["b"].damaged == {bad: lines[0]}


def test_a_domain_without_a_readable_file(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", 2), tmp_path / "b"
    b.mkdir()
    for number in range(4):
        (b / f"{number}.png").touch()
    reasons = "; ".join(f"cannot read {b / f'{number}.png'}: it is empty (0 bytes)" for number in range(3))
    assert error(a=a, b=b) == f"none of the 4 images in {b} can be read: {reasons}"


def test_all_files_lost_in_the_middle_of_a_run(root: Path) -> None:
    data = Folders(root=root, size=8)
    for (path,) in data.train["b"].items:
        path.unlink()
    with pytest.raises(DataError, match=f"^none of the 3 images in {root / 'trainB'} can be read: cannot read "):
        data[0]


def test_preview(root: Path) -> None:
    data = Folders(root=root, size=8)
    first = data.preview(2)
    assert {domain: tuple(batch.shape) for domain, batch in first.items()} == {"a": (2, 3, 8, 8), "b": (2, 3, 8, 8)}
    assert torch.equal(first["a"][1], eval_transform(read_image(data.train["a"].items[1][0]), 8))
    assert torch.equal(first["a"], data.preview(2)["a"])
    assert [len(batch) for batch in data.preview(4).values()] == [4, 3]


def test_preview_prefers_test_folders_and_passes_over_damaged_files(root: Path, tmp_path: Path) -> None:
    fill(root / "testA", 3, base=200)
    other = fill(tmp_path / "other", 3, base=50)
    (root / "testA" / "000.png").write_bytes(b"x")
    batch = Folders(root=root, test_b=other, size=8).preview(2)
    assert [red({"x": image}, "x") for image in batch["a"]] == [201, 202]
    assert [red({"x": image}, "x") for image in batch["b"]] == [50, 51]


def test_which_folders_is_said(tmp_path: Path) -> None:
    a = fill(tmp_path / "x", 1)
    wanted = "give data.a and data.b, a folder each, or data.root, a folder that holds trainA and trainB"
    got = "expected two folders of training images, got {}; " + wanted
    assert error() == got.format("none")
    assert error(a=a) == got.format("data.a")
    assert error(root=tmp_path, b=a) == got.format("data.b and data.root")
    assert error(root=tmp_path) == f"data.root: expected {tmp_path} to hold trainA and trainB, got x; {wanted}"
    fill(tmp_path / "horses", 1)
    wrong, right = tmp_path / "horse", tmp_path / "horses"
    assert error(root=wrong) == f"folder {wrong} does not exist; did you mean {right}?"


def test_all_problems_at_once(tmp_path: Path) -> None:
    fill(tmp_path / "good", 1)
    one, two = tmp_path / "lost", tmp_path / "god"
    assert error(a=one, b=tmp_path / "good", test_b=two).splitlines() == [
        f"folder {one} does not exist; the nearest folder that exists is {tmp_path}",
        f"folder {two} does not exist; did you mean {tmp_path / 'good'}?",
    ]


def test_paths_may_be_text(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = DATASET("folders", root=str(root), test_a=str(root / "trainB"), size=8)
    assert same(factory(seed=0)[3], Folders(root=root, test_a=root / "trainB", size=8)[3])  # type: ignore[arg-type]
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(Folders(root=f"~/{root.name}", size=8)) == 5  # type: ignore[arg-type]
    with pytest.raises(DataError, match="folder nowhere does not exist"):
        DATASET("folders", root="nowhere")(seed=0)
    with pytest.raises(DataError, match="folder nowhere does not exist"):
        DATASET("paired", root="nowhere")(seed=0)
    with pytest.raises(DataError, match=r"cannot read nowhere\.png: it does not exist"):
        DATASET("single_image", a="nowhere.png", b="nowhere.png")(seed=0)


def test_crops_and_flips_differ_between_images_domains_epochs_and_seeds(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise.save(tmp_path / name)
    datasets = [Folders(root=tmp_path, size=16, load_size=32, flip=False, seed=seed) for seed in (0, 1)]
    patches = [data[n][domain].numpy().tobytes() for data in datasets for domain in "ab" for n in range(12)]  # type: ignore[attr-defined]
    assert len(set(patches)) > 30  # of 48 draws from 17 x 17 places
    flips = [Folders(root=tmp_path, size=32, load_size=32, seed=seed) for seed in (0, 1)]
    drawn = [[data[n][domain].numpy().tobytes() for n in range(24)] for data in flips for domain in "ab"]  # type: ignore[attr-defined]
    assert all(len(set(column)) == 2 for column in drawn)
    assert len({tuple(column) for column in drawn}) == 4


def test_load_size(root: Path) -> None:
    assert Folders(root=root, size=64).transform.load_size == (94, 94)
    assert Folders(root=root, size=64, load_size=64).transform.load_size == (64, 64)
    with pytest.raises(OptionError, match=r"^load_size: expected at least the size, 64, got 63$"):
        Folders(root=root, size=64, load_size=63)
