"""What an image file has, its translation keeps: values, opacity, profile, EXIF, pages; and what not, is said."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

import i2i
from i2i.cli import run as command
from i2i.core.contracts import GeneratorOutput
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

EXIF_MAKER, EXIF_ORIENTATION = 0x010F, 0x0112


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translator that changes nothing."""
    monkeypatch.setattr(Loaded, "run", lambda self, batch, to, **more: GeneratorOutput(batch))


def make(folder: Path, recipe: str, settings: Mapping[str, object]) -> Path:
    read = Recipe.read(recipe, settings)
    Run(folder, read, Stepper(read), dataset=None).save()
    return folder


@pytest.fixture(scope="module")
def rgb_run(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of no steps on RGB images of 32 px."""
    return make(tmp_path_factory.mktemp("rgb"), "ugatit_small", tiny_settings)


@pytest.fixture(scope="module")
def band_run(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of no steps on five bands."""
    settings = {**tiny_settings, "data": {"type": "folders", "size": 32, "channels": 5}}
    settings = {key: value for key, value in settings.items() if not key.startswith("data.")}
    return make(tmp_path_factory.mktemp("bands"), "ugatit_small", settings)


def noise(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def translated(run: Path, source: Path, *options: str) -> Path:
    output = source.parent / "out"
    shutil.rmtree(output, ignore_errors=True)
    arguments = ["translate", str(run), str(source), "--output", str(output), "--size", "original", *options]
    assert command(arguments) == 0
    (made,) = output.iterdir()
    return made


@pytest.mark.usefixtures("identity")
def test_values_survive_an_identity(rgb_run: Path, band_run: Path, tmp_path: Path) -> None:
    five = noise(37, 51, 5)
    tifffile.imwrite(tmp_path / "five.tif", five, photometric="minisblack", planarconfig="contig")
    assert np.array_equal(tifffile.imread(translated(band_run, tmp_path / "five.tif")), five)
    np.save(tmp_path / "five.npy", five)
    assert np.array_equal(np.load(translated(band_run, tmp_path / "five.npy")), five)
    tifffile.imwrite(tmp_path / "rgb.tif", five[..., :3], photometric="rgb")
    assert np.array_equal(tifffile.imread(translated(rgb_run, tmp_path / "rgb.tif")), five[..., :3])
    png = translated(rgb_run, tmp_path / "rgb.tif", "--format", "png")
    assert np.array_equal(i2i.data.decoding.decode(png).pixels, five[..., :3])
    assert np.array_equal(i2i.load(rgb_run, "cpu").translate(five[..., :3], size="original"), five[..., :3])
    eight = Image.fromarray(noise(37, 51, 3, dtype=np.uint8))
    eight.save(tmp_path / "eight.png")
    assert np.array_equal(np.asarray(Image.open(translated(rgb_run, tmp_path / "eight.png"))), np.asarray(eight))


@pytest.mark.usefixtures("identity")
def test_opacity_profile_and_exif_are_kept(rgb_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image.fromarray(noise(40, 30, 4, dtype=np.uint8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[EXIF_MAKER], exif[EXIF_ORIENTATION] = "maker", 6
    image.save(tmp_path / "x.png", icc_profile=profile, exif=exif, dpi=(300, 300))
    with Image.open(translated(rgb_run, tmp_path / "x.png")) as made:
        assert made.mode == "RGBA"
        assert made.size == (40, 30)  # upright
        turned = image.getchannel("A").transpose(Image.Transpose.ROTATE_270)
        assert made.getchannel("A").tobytes() == turned.tobytes()
        assert made.info["icc_profile"] == profile
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert dict(made.getexif()) == {EXIF_MAKER: "maker"}
    assert "not kept" not in capsys.readouterr().err
    with Image.open(translated(rgb_run, tmp_path / "x.png", "--format", "jpg")) as made:
        assert (made.format, made.mode) == ("JPEG", "RGB")
        assert made.info["icc_profile"] == profile
        assert dict(made.getexif()) == {EXIF_MAKER: "maker"}
    assert capsys.readouterr().err == "not kept: opacity (JPEG cannot have it)\n"


@pytest.mark.usefixtures("identity")
def test_opacity_is_resized(rgb_run: Path, tmp_path: Path) -> None:
    image = Image.new("RGBA", (80, 60), (200, 10, 10, 255))
    image.paste((0, 0, 0, 0), (0, 0, 40, 60))
    image.save(tmp_path / "x.png")
    output = tmp_path / "out"
    assert command(["translate", str(rgb_run), str(tmp_path / "x.png"), "--output", str(output)]) == 0
    with Image.open(output / "x.png") as made:
        assert made.size == (43, 32)
        alpha = np.asarray(made.getchannel("A"))
        assert alpha[:, :18].max() == 0
        assert alpha[:, 25:].min() == 255


@pytest.mark.usefixtures("identity")
def test_pages_and_what_cannot_be_kept(rgb_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = noise(3, 37, 51, 3)
    tifffile.imwrite(tmp_path / "x.tif", pages, photometric="rgb")
    assert np.array_equal(tifffile.imread(translated(rgb_run, tmp_path / "x.tif")), pages)
    assert "not kept" not in capsys.readouterr().err
    translated(rgb_run, tmp_path / "x.tif", "--format", "jpg")
    assert capsys.readouterr().err == ("not kept: uint16 (JPEG holds 8 bits); pages after the first (JPEG holds one)\n")


@pytest.mark.usefixtures("identity")
def test_channels_that_a_format_cannot_have_are_written_as_tiff(band_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(32, 32, 5))
    made = translated(band_run, tmp_path / "x.npy", "--format", "png")
    assert made.suffix == ".tif"
    assert tifffile.imread(made).shape == (32, 32, 5)


def test_wrong_channels_are_named(band_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "x.png")
    assert command(["translate", str(band_run), str(tmp_path / "x.png"), "--output", str(tmp_path / "out")]) == 2
    assert f"cannot read {tmp_path / 'x.png'}: it has 3 channels, where data.channels asks for 5" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(("width", "height"), [(101, 75), (37, 90), (64, 33)])
def test_any_size_is_exact_to_the_pixel(rgb_run: Path, tmp_path: Path, width: int, height: int) -> None:
    Image.fromarray(noise(height, width, 3, dtype=np.uint8)).save(tmp_path / "x.png")
    with Image.open(translated(rgb_run, tmp_path / "x.png")) as made:
        assert made.size == (width, height)


def test_images_much_larger_than_in_training_are_noted(
    rgb_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 64)).save(tmp_path / "x.png")
    translated(rgb_run, tmp_path / "x.png")
    assert "note: the network was trained on 32 x 32 pixels and got up to 80 x 64" in capsys.readouterr().err


@pytest.mark.usefixtures("identity")
def test_side_by_side_images_of_the_training_set_are_halved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    narrow = {"translator.generator.channels": 4, "translator.discriminators.local.channels": 4}
    settings = {"data.type": "paired", "data.root": str(tmp_path / "pairs"), "data.size": 32, **narrow}
    run = make(tmp_path / "run", "pix2pix_small", settings)
    pair = noise(32, 64, 3, dtype=np.uint8)
    Image.fromarray(pair).save(tmp_path / "pair.png")

    def pixels(*options: str) -> np.ndarray:
        with Image.open(translated(run, tmp_path / "pair.png", *options)) as made:
            return np.asarray(made)

    assert np.array_equal(pixels(), pair[:, :32])
    assert capsys.readouterr().err == (
        "1 side-by-side images: translated the left half, as in training; --half none translates whole images\n"
    )
    assert np.array_equal(pixels("--half", "right"), pair[:, 32:])
    assert np.array_equal(pixels("--half", "none"), pair)


@pytest.mark.usefixtures("identity")
def test_profiles_are_converted_and_back(rgb_run: Path, tmp_path: Path) -> None:
    """A profile with a lower gamma than sRGB: the translator sees sRGB, the file keeps its profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    profile = profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    red = Image.new("RGB", (32, 32), (250, 0, 0))
    red.save(tmp_path / "x.png", icc_profile=profile)
    loaded = i2i.load(rgb_run, "cpu")
    seen = loaded.prepare(Image.open(tmp_path / "x.png"))
    assert torch.allclose(seen[:, 0, 0], torch.tensor([-1.0, 250 / 127.5 - 1, -1.0]), atol=0.02)
    with Image.open(translated(rgb_run, tmp_path / "x.png")) as made:
        assert made.info["icc_profile"] == profile
        assert np.abs(np.asarray(made).astype(int) - np.asarray(red)).max() <= 1
