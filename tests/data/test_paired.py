"""Pairs of images: both halves get the same crop, damaged pairs are passed over, folders are matched by name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.data.loader import make_loader
from i2i.data.paired import Paired
from i2i.demo.anime import anime
from i2i.demo.portraits import PortraitPairs, Portraits
from i2i.errors import DataError, OptionError


def image(seed: int, width: int = 40, height: int = 32) -> Image.Image:
    levels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(levels.numpy())


def side_by_side(path: Path, left: Image.Image, right: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = Image.new("RGB", (left.width + right.width, left.height))
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width, 0))
    sheet.save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six training and two test pairs whose halves are the same image."""
    for index in range(6):
        side_by_side(tmp_path / "set" / "train" / f"{index}.png", image(index), image(index))
    for index in range(2):
        side_by_side(tmp_path / "set" / "test" / f"{index}.png", image(50 + index), image(60 + index))
    return tmp_path / "set"


def test_both_halves_are_flipped_and_cropped_alike(root: Path) -> None:
    data = Paired(root, size=16, load_size=24)
    assert len(data) == 6
    samples = [data[number] for number in range(12)]
    for sample in samples:
        assert torch.equal(sample["a"], sample["b"])  # type: ignore[arg-type]
        assert sample["a"].shape == (3, 16, 16)  # type: ignore[attr-defined]
    assert len({tuple(sample["a"].flatten()[:9].tolist()) for sample in samples}) == 12  # type: ignore[attr-defined]
    again = Paired(root, size=16, load_size=24)
    assert all(torch.equal(samples[n]["a"], again[n]["a"]) for n in (11, 3))  # type: ignore[arg-type]


def test_left_and_preview(root: Path) -> None:
    for left in ("a", "b"):
        batch = Paired(root, left=left, size=32).preview(5)  # type: ignore[arg-type]
        assert batch["a"].shape == (2, 3, 32, 32)
        right = "b" if left == "a" else "a"
        wanted = image(51).resize((32, 32), Image.Resampling.BICUBIC)
        got = ((batch[left][1] + 1) * 127.5).round().byte().permute(1, 2, 0)
        assert torch.equal(got, torch.from_numpy(np.array(wanted)))
        assert not torch.equal(batch[left], batch[right])


def test_two_folders(tmp_path: Path) -> None:
    for index in range(3):
        for domain, suffix in (("a", "png"), ("b", "bmp")):
            (tmp_path / domain / "sub").mkdir(parents=True, exist_ok=True)
            image(index).save(tmp_path / domain / "sub" / f"{index}.{suffix}")
    data = Paired(a=tmp_path / "a", b=tmp_path / "b", size=16)
    assert all(torch.equal(data[n]["a"], data[n]["b"]) for n in range(3))  # type: ignore[arg-type]
    assert data.preview(1)["a"].shape == (1, 3, 16, 16)
    image(9).save(tmp_path / "b" / "extra.png")
    with pytest.raises(
        DataError, match=re.escape(f"1 of 4 images in {tmp_path / 'b'} have no partner of the same name")
    ):
        Paired(a=tmp_path / "a", b=tmp_path / "b")


def test_names_that_differ_only_in_their_suffix_are_refused(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/1.jpg", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image(1).save(tmp_path / name)
    for options in ({"a": "a", "b": "b"}, {"a": "b", "b": "a"}):
        with pytest.raises(DataError, match="differ only in their suffix") as caught:
            Paired(**{domain: tmp_path / name for domain, name in options.items()})
        assert str(tmp_path / "a" / "1.png") in str(caught.value)
        assert str(tmp_path / "a" / "1.jpg") in str(caught.value)


def test_crops_and_flips_differ_between_samples_epochs_and_seeds(tmp_path: Path) -> None:
    for index in range(3):
        side_by_side(tmp_path / f"{index}.png", image(0), image(0))
    for options in ({"flip": False, "load_size": 32}, {"flip": True, "load_size": 16}):
        datasets = [Paired(tmp_path, size=16, seed=seed, **options) for seed in (0, 1)]
        patches = [data[number]["a"].numpy().tobytes() for data in datasets for number in range(24)]  # type: ignore[attr-defined]
        # Of 17 x 17 places, 48 draws hit far more than the 2 that a flip alone can give.
        assert len(set(patches)) == 2 if options["flip"] else len(set(patches)) > 30
        assert patches[:24] != patches[24:]


def test_the_order_differs_between_seeds_and_epochs(root: Path) -> None:
    datasets = [Paired(root, size=16, load_size=16, flip=False, seed=seed) for seed in (0, 1)]
    orders = [
        tuple(float(data[6 * epoch + place]["a"].mean()) for place in range(6))  # type: ignore[attr-defined]
        for data in datasets
        for epoch in range(3)
    ]
    assert len({tuple(sorted(order)) for order in orders}) == 1
    assert len(set(orders)) == 6


def test_damaged_pairs_are_passed_over_in_the_same_way(root: Path) -> None:
    (root / "train" / "2.png").write_bytes(b"no image")
    image(7, 20, 40).save(root / "train" / "4.png")
    data = Paired(root, size=16)
    samples = [data[number] for number in range(6)]
    skipped = [line for sample in samples for line in sample["skipped"]]  # type: ignore[attr-defined]
    assert len(skipped) >= 2, skipped
    assert any("expected two images side by side, got one of 20 x 40 pixels" in line for line in skipped), skipped
    fresh = Paired(root, size=16)
    assert all(torch.equal(samples[n]["a"], fresh[n]["a"]) for n in (5, 1))  # type: ignore[arg-type]
    loader = iter(make_loader(Paired(root, size=16), batch_size=3))
    first = next(loader)
    assert torch.equal(first["b"], torch.stack([sample["b"] for sample in samples[:3]]))  # type: ignore[misc]


def test_messages(root: Path, tmp_path: Path) -> None:
    wanted = (
        "give data.root, a folder of side-by-side images, or data.a and data.b, two folders with the same file names"
    )
    for options in ({}, {"a": root}, {"root": root, "a": root}):
        given: dict[str, Any] = dict(options)
        with pytest.raises(DataError, match=re.escape(wanted)):
            Paired(**given)
    other = tmp_path / "other"
    shutil.copytree(root / "train", other)
    with pytest.raises(DataError, match=r"give data\.test, a folder of side-by-side images, or data\.test_a"):
        Paired(a=root / "train", b=other, test_a=root)
    with pytest.raises(DataError, match=re.escape(f"data.a and data.b are one folder, {other}")):
        Paired(a=other, b=tmp_path / "set" / ".." / "other")
    with pytest.raises(OptionError, match="expected at least the size, 16, got 8"):
        Paired(root, size=16, load_size=8)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "x.png").write_bytes(b"x")
    with pytest.raises(DataError, match=re.escape(f"none of the 1 images in {bad} can be read")):
        Paired(bad)


def test_portrait_pairs_show_one_character_in_both_manners() -> None:
    pairs, world = PortraitPairs(16, count=3), Portraits(16, count=3)
    sample = pairs[1]
    number = world.numbers(1)[0]
    assert torch.equal(sample["a"], world[1]["a"])
    assert not torch.equal(sample["b"], world[1]["b"])
    drawn = torch.from_numpy(anime(world.character(number), 16)).permute(2, 0, 1)
    assert torch.equal(sample["b"], drawn.mul(2).sub(1))
    preview, held = pairs.preview(2), pairs.pairs(2)
    assert preview["a"].shape == preview["b"].shape == (2, 3, 16, 16)
    assert not torch.equal(preview["a"], held["a"])
