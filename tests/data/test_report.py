"""`i2i data check` finds what was put into the folders, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_sources import files_of, noise, write_tar

from i2i.cli import run
from i2i.data.facts import facts_of, near_duplicates


def smooth(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """An image of large features, as photos have them."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for base, name in enumerate(("trainA", "trainB", "testA", "testB")):
        for number in range(6):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            smooth(100 * base + number).save(path)
    return root


def check(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["data", "check", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_clean_data(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = check(capsys, data)
    names = [f"{data} {part}" for part in ("a", "b", "test_a", "test_b")]
    lines = [line for name in names for line in (f"{name}: 6 images", "  sizes: 96 x 72 (6)", "  modes: RGB 8 bit (6)")]
    assert out.splitlines() == [*lines, "nothing unusual was found"]
    packed = check(capsys, write_tar(tmp_path / "set.tar", files_of(data)))
    assert packed.replace(f"{data}.tar", str(data)) == out


def test_everything_that_is_wrong_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = data / "trainA"
    (train / "damaged.png").write_bytes((train / "0.png").read_bytes()[:200])
    (train / "copy.bmp").parent.mkdir(exist_ok=True)
    smooth(1).save(train / "copy.bmp")
    smooth(2).resize((60, 45)).save(train / "small_2.jpg", quality=80)
    Image.new("RGB", (50, 50), "navy").save(train / "navy.png")
    smooth(3).convert("L").save(train / "gray.png")
    smooth(4).save(data / "testA" / "leak.png")
    smooth(105).save(data / "testB" / "near.jpg", quality=75)
    dark = np.full((40, 40), 4000, np.uint16) + np.arange(40, dtype=np.uint16)
    Image.fromarray(dark).save(data / "trainB" / "dark.png")
    (train / "a.heic").write_bytes(b"x")
    out = check(capsys, data, "--sheet", tmp_path / "sheet.png")
    a, b, test_a, test_b = (f"{data} {part}" for part in ("a", "b", "test_a", "test_b"))
    for line in (
        f"{a}: 11 images; passed over .heic 1",
        "  ! 1 damaged: damaged.png: it is damaged or cut short (Pillow: ",
        "  ! 1 exact duplicate: 1.png = copy.bmp",
        "  ! 1 pair of near duplicates: 2.png ~ small_2.jpg",
        "  ! 1 of one color: navy.png",
        "  modes: RGB 8 bit (9), gray 8 bit (1)",
        "  ! 1 with unusual values, such as dark.png: dark: the largest value is 4039 of 65535",
        f"! {a} and {test_a} share 1 image: 4.png = leak.png",
        f"! 1 image of {test_b} is nearly equal to images of {b}: 5.png ~ near.jpg",
    ):
        assert line in out, line
    assert len([line for line in out.splitlines() if line.lstrip().startswith("!")]) == 7
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1000
        assert np.asarray(sheet).std() > 20
    found = json.loads(check(capsys, data, "--json", "--sheet", tmp_path / "sheet.html"))
    assert found["parts"][a]["damaged"].keys() == {"damaged.png"}
    assert found["parts"][b]["kinds"] == {"RGB 8 bit": 6, "gray 16 bit": 1}
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<img") == 10 + 7 + 7 + 7
    assert "share 1 image" in page
    assert "http" not in page


def test_classes_and_what_a_recipe_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("cat", 20), ("dog", 2)):
        for number in range(count):
            path = tmp_path / "pets" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            smooth(number + 50 * (name == "dog"), (100, 50)).save(path)
    options = ["--recipe", "cyclegan_small", "--set", "data.type=folders", "--set", "data.size=64"]
    out = check(capsys, tmp_path / "pets", *options)
    assert "  subfolders: cat 20, dog 2\n" in out
    assert "  ! subfolders differ in size: cat holds 20, dog 2\n" in out
    assert (
        "  cyclegan_small: resized to 94 x 94 without regard to the aspect ratio; 22 of 22 are distorted by more than "
        "10 %, at most 2.00 times\n  cyclegan_small: 22 are enlarged, at most 1.9 times\n"
        "  cyclegan_small: cropped to 64 x 64 at a random place\n  cyclegan_small: half of them are mirrored\n"
    ) in out


def test_near_duplicates_are_those_that_look_the_same(tmp_path: Path) -> None:
    images = [smooth(seed) for seed in range(30)] + [noise(seed, 64, 64) for seed in range(30)]
    images += [images[7].resize((48, 36)), Image.eval(images[7], lambda value: 255 - value), images[7].rotate(180)]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number:02}.png")
    images[9].save(tmp_path / "99.jpg", quality=60)
    facts = [facts_of(path) for path in sorted(tmp_path.iterdir())]
    assert near_duplicates(facts) == [(7, 60), (9, 63)]


def test_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(tmp_path / "none")]) == 2
    assert f"error: folder {tmp_path}/none does not exist" in capsys.readouterr().err
    assert run(["data", "check", str(tmp_path), "--sheet", "x.pdf"]) == 2
    assert "expected a file .png or .html, got x.pdf" in capsys.readouterr().err
