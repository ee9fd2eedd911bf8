"""Every fault an image file or folder may have, on files made here; tensors and back."""

from __future__ import annotations

import os
import pickle
import struct
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from i2i.data.images import SUFFIXES, UnreadableImage, find_images, read_image, to_image, to_tensor
from i2i.errors import DataError


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def image(path: Path, color: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (color, 20, 30)).save(path)
    return path


def reason(path: Path) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert str(caught.value) == f"cannot read {path}: {caught.value.reason}"
    assert caught.value.path == path
    return caught.value.reason


def png_of(width: int, height: int, mode: int = 0) -> bytes:
    """A PNG whose header promises what its few bytes do not hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def test_faults_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert reason(tmp_path / "none.png") == "it does not exist"
    assert reason(tmp_path / "empty.png") == "it is empty (0 bytes)"
    assert reason(tmp_path / "folder.png") == "it is a folder, not an image"
    assert reason(tmp_path / "link.png") == f"it is a link to {tmp_path / 'gone.png'}, which does not exist"
    assert reason(tmp_path / "loop.png").startswith("the system says ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "pipe.png") == "it is not a regular file"


def test_the_bytes_decide_not_the_suffix(tmp_path: Path) -> None:
    image(tmp_path / "true.png").rename(tmp_path / "false.jpg")
    (tmp_path / "page.jpg").write_bytes(b"<!DOCTYPE html><html>404</html>")
    (tmp_path / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert pixels(tmp_path / "false.jpg").shape == (3, 4, 3)
    text = "its bytes are of no known image format, they begin with "
    assert reason(tmp_path / "page.jpg") == text + "b'<!DOCTYPE html><'"
    assert reason(tmp_path / "program.png") == text + "b'%!PS-Adobe-3.0 E'"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".tif", ".bmp", ".webp", ".tga", ".ppm"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    # A TIFF's directory and a WebP's length stand where the cut took them away, so that nothing is left to recognise.
    assert reason(path).startswith(("it is damaged or cut short (Pillow: ", "its bytes are of no known image format"))


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow only warns of the first
def test_bombs(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of(side, side))
    assert reason(tmp_path / "bomb.png") == (
        f"it has {side} x {side} pixels, more than the limit of {Image.MAX_IMAGE_PIXELS}; to read it, set the "
        f"environment variable I2I_MAX_PIXELS={side * side}"
    )


def test_the_pixel_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.png").write_bytes(png_of(12_000, 9_000))
    Image.new("RGB", (30, 30)).save(tmp_path / "small.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        monkeypatch.setenv("I2I_MAX_PIXELS", "108000000")
        assert reason(tmp_path / "photo.png").startswith("it is damaged or cut short")  # decoded as far as it goes
        with monkeypatch.context() as lower:  # stands for a larger file: Pillow checks tiles of a TIFF when it decodes
            lower.setattr(Image, "MAX_IMAGE_PIXELS", 500)
            Image.new("1", (30, 30)).save(tmp_path / "tiles.tif", compression="group4")
            Image.new("P", (30, 30)).save(tmp_path / "frames.gif")
            for name in ("tiles.tif", "frames.gif", "small.png"):
                assert pixels(tmp_path / name).shape == (30, 30, 3)
        monkeypatch.setenv("I2I_MAX_PIXELS", "899")
        assert "it has 30 x 30 pixels, more than the limit of 899" in reason(tmp_path / "small.png")
        monkeypatch.setenv("I2I_MAX_PIXELS", "many")
        assert reason(tmp_path / "small.png") == (
            "environment variable I2I_MAX_PIXELS: expected a positive integer, got 'many'"
        )
    monkeypatch.delenv("I2I_MAX_PIXELS")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert pixels(tmp_path / "small.png").shape == (30, 30, 3)


def test_nothing_global_is_changed(tmp_path: Path) -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(png_of(64, 64))
    read_image(tmp_path / "a.png")
    reason(tmp_path / "b.png")
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, list(warnings.filters))


def test_error_crosses_processes_and_terminals() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImage(Path("caf\udce9.png"), "it does not exist")))
    assert str(error) == "cannot read caf\\udce9.png: it does not exist"
    assert error.reason == "it does not exist"


def test_to_tensor_is_the_references_formula() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    tensor = to_tensor(Image.fromarray(ramp))
    x = torch.arange(256, dtype=torch.float32)
    assert tensor.shape == (3, 1, 256)
    assert tensor.is_contiguous()
    assert torch.equal(tensor[1, 0], (x / 255 - 0.5) / 0.5)
    assert (float(tensor.min()), float(tensor.max())) == (-1, 1)
    assert np.array_equal(np.asarray(to_image(tensor)), ramp)


def test_to_tensor_keeps_channels_and_axes() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tensor = to_tensor(Image.fromarray(noise))
    assert tensor.shape == (3, 5, 7)
    assert np.array_equal(np.asarray(to_image(tensor)), noise)


def test_to_image_rounds_and_clamps() -> None:
    levels = torch.tensor([-9.0, -1.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1, 1.0, 9.0]).expand(3, 1, 6)
    assert np.asarray(to_image(levels))[0, :, 0].tolist() == [0, 0, 1, 0, 255, 255]
    assert to_image(torch.zeros(3, 2, 4, dtype=torch.bfloat16, requires_grad=True)).size == (4, 2)


def test_tensor_errors() -> None:
    with pytest.raises(DataError, match=r"^to_tensor: expected an image of mode RGB or L, got P; call to_rgb first$"):
        to_tensor(Image.new("P", (1, 1)))
    text = r"^to_image: expected a tensor \[3, H, W\] or \[1, H, W\], got \[1, 3, 2, 2\]; take one sample of a batch"
    with pytest.raises(DataError, match=text):
        to_image(torch.zeros(1, 3, 2, 2))


def test_find_images_order_and_choice(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "B.png", "sub/deeper/c.webp", "sub/a.bmp", "10.png", "9.png", "日本/猫.jpg"]
    for name in [*names, ".hidden.png", ".cache/x.png", "sub/.thumbs/x.png"]:
        image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["10.png", "9.png", "B.png", "a.png", "b.JPG", "sub/a.bmp", "sub/deeper/c.webp", "日本/猫.jpg"]


def test_find_images_sorts_decomposed_letters_like_composed_ones(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é.png")
    for name in (decomposed, "f.png", "z.png"):
        image(tmp_path / name)
    assert [unicodedata.normalize("NFC", path.name) for path in find_images(tmp_path)] == ["f.png", "z.png", "é.png"]


def test_find_images_follows_links_only_inside(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    image(outside / "secret.png")
    image(inside / "real.png")
    (inside / "out.png").symlink_to(outside / "secret.png")
    (inside / "dotted.png").symlink_to("../outside/secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "again.png").symlink_to("real.png")
    (inside / "loop.png").symlink_to("loop.png")
    (inside / "broken.png").symlink_to("gone.png")  # stays, so that reading it says what is missing
    (tmp_path / "shortcut").symlink_to(inside)
    for folder in (inside, tmp_path / "shortcut"):
        assert [path.name for path in find_images(folder)] == ["again.png", "broken.png", "loop.png", "real.png"]


def test_find_images_says_what_it_found_instead(tmp_path: Path) -> None:
    looked = f"folder {tmp_path} holds no image; looked for {' '.join(sorted(SUFFIXES))}, found "
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".tga"} <= SUFFIXES
    assert not {".mp4", ".pdf", ".eps", ".psd", ".ico"} & SUFFIXES

    def text() -> str:
        with pytest.raises(DataError) as caught:
            find_images(tmp_path)
        return str(caught.value)

    assert text() == looked + "nothing"
    (tmp_path / "a.png").symlink_to("/")
    assert text() == looked + "nothing; and 1 link to folders or out of the folder, which are not followed"
    (tmp_path / "a.png").unlink()
    for name in ("1.txt", "2.txt", "README", ".hidden.png"):
        (tmp_path / name).touch()
    assert text() == looked + "3 files, none of them an image: .txt 2, no suffix 1"


def test_find_images_names_the_nearest_folder(tmp_path: Path) -> None:
    image(tmp_path / "horses/trainA/1.png")

    def text(folder: Path) -> str:
        with pytest.raises(DataError) as caught:
            find_images(folder)
        return str(caught.value)

    wrong = tmp_path / "horses/train_A"
    assert text(wrong) == f"folder {wrong} does not exist; did you mean {tmp_path / 'horses/trainA'}?"
    wrong = tmp_path / "horse/trainA"
    assert text(wrong) == f"folder {wrong} does not exist; did you mean {tmp_path / 'horses'}?"
    wrong = tmp_path / "zebras/trainA"
    assert text(wrong) == f"folder {wrong} does not exist; the nearest folder that exists is {tmp_path}"
    wrong = tmp_path / "horses/trainA/1.png"
    assert text(wrong) == f"{wrong} is a file, where a folder was expected; perhaps you mean {wrong.parent}"


def test_a_name_does_not_steer_the_terminal() -> None:
    assert str(UnreadableImage(Path("a\n\x1b[2J\udcff é.png"), "x")) == "cannot read a\\n\\x1b[2J\\udcff é.png: x"
