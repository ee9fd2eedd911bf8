"""Images of every depth and number of channels come from their files, and go back, without losing a value."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from i2i.data import arrays
from i2i.data.decoding import UnreadableImage, decode
from i2i.data.images import read_image, to_image, to_tensor
from i2i.data.pixels import PixelFormat, scale, to_float, unscale, visible


def noise(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(0))
    if np.dtype(dtype).kind == "f":
        return generator.uniform(0, 1, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def reason(file: Any, **format: Any) -> str:
    with pytest.raises(UnreadableImage) as caught:
        PixelFormat(**format).read(file)
    return caught.value.reason


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
def test_tiff_of_any_depth_and_number_of_bands(tmp_path: Path, dtype: Any, channels: int) -> None:
    values = noise(9, 14, channels, dtype=dtype)
    tifffile.imwrite(
        tmp_path / "x.tif", values, photometric="rgb" if channels == 3 else "minisblack", planarconfig="contig"
    ) if channels > 1 else tifffile.imwrite(tmp_path / "x.tif", values[..., 0])
    low, high = float(values.min()), float(values.max())
    pixels = PixelFormat(channels, range=(low, high)).read(tmp_path / "x.tif")
    restored = unscale(to_float(pixels), low, high, values.dtype)
    if values.dtype.kind == "f" or values.dtype.itemsize > 2:  # float32 has 24 bits
        assert np.allclose(restored, values, rtol=0, atol=(high - low) * 2e-7)
    else:
        assert np.array_equal(restored, values)


def test_every_value_of_16_bits_survives() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for low, high in ((0, 65535), (0, 131070), (-32768, 65535)):
        assert np.array_equal(unscale(scale(values, low, high), low, high, values.dtype), values)
    signed = values.astype(np.int32) - 32768
    assert np.array_equal(unscale(scale(signed, -32768, 32767), -32768, 32767, np.dtype(np.int16)), signed)
    floats = np.linspace(-1, 1, 1000, dtype=np.float32).reshape(10, 100, 1)
    assert np.array_equal(unscale(scale(floats, -1, 1), -1, 1, floats.dtype), floats)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_is_read_and_written_exactly(tmp_path: Path, channels: int) -> None:
    values = noise(9, 11, channels)
    with (tmp_path / "x.png").open("wb") as file:
        arrays.write_png(file, values, None, {"note": "täxt"})
    with Image.open(tmp_path / "x.png") as image:
        image.load()
        assert image.info["note"] == "täxt"
        assert image.size == (11, 9)
    assert np.array_equal(decode(tmp_path / "x.png", channels=channels).pixels, values)
    assert np.array_equal(
        unscale(to_float(PixelFormat(channels).read(tmp_path / "x.png")), 0, 65535, values.dtype), values
    )


def test_bands_in_planes_pages_and_arrays(tmp_path: Path) -> None:
    values = noise(5, 9, 14)  # bands first
    tifffile.imwrite(tmp_path / "planar.tif", values, photometric="minisblack", planarconfig="separate")
    tifffile.imwrite(tmp_path / "pages.tif", values, photometric="minisblack")
    np.save(tmp_path / "first.npy", values)
    np.save(tmp_path / "last.npy", values.transpose(1, 2, 0))
    np.savez(tmp_path / "named.npz", other=values[0], bands=values)
    np.savez(tmp_path / "stack.npz", *values)
    pages = {"named.npz": "bands", "stack.npz": "all"}
    for name in ("planar.tif", "pages.tif", "first.npy", "last.npy", "named.npz", "stack.npz"):
        decoded = decode(tmp_path / name, pages.get(name), channels=5)
        assert np.array_equal(decoded.pixels, values.transpose(1, 2, 0)), name
    one = PixelFormat(1, page=3).read(tmp_path / "pages.tif")
    assert np.array_equal(unscale(to_float(one), 0, 65535, values.dtype)[..., 0], values[3])


def test_an_unknown_page_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise(2, 9, 14), photometric="minisblack")
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    np.savez(tmp_path / "x.npz", bands=noise(9, 14), mask=noise(9, 14))
    assert reason(tmp_path / "x.tif", channels=1, page=2) == "data.page: expected a page from 0 to 1, got 2"
    assert reason(tmp_path / "x.png", page=1) == "data.page: expected a page from 0 to 0, got 1"
    assert reason(tmp_path / "x.png", page="nir").startswith("data.page: expected a number or 'all', got 'nir'")
    assert reason(tmp_path / "x.npz", channels=1, page="band") == (
        "data.page: no array 'band'. Did you mean 'bands'? Arrays: bands, mask"
    )


def test_wrong_channels_and_ranges_are_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "five.tif", noise(9, 14, 5), photometric="minisblack", planarconfig="contig")
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    np.save(tmp_path / "deep.npy", noise(9, 14))
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan, np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    assert reason(tmp_path / "five.tif") == "it has 5 channels, where data.channels asks for 3"
    assert reason(tmp_path / "rgb.png", channels=5) == "it has 3 channels, where data.channels asks for 5"
    assert reason(tmp_path / "deep.npy", channels=1, range=(0, 1)).startswith(
        "100% of its values lie outside data.range = [0, 1]; they run from "
    )
    assert reason(tmp_path / "nan.npy", channels=1, range=(0, 1)).startswith("100% of its values lie outside")
    assert reason(tmp_path / "nan.npy", channels=1, percentiles=(1, 99)) == "it holds values that are NaN or infinite"
    assert reason(tmp_path / "objects.npy") == "it holds Python objects, which are not read; save an array of numbers"


def test_what_a_file_says_of_its_white(tmp_path: Path) -> None:
    values = (noise(9, 14) >> 4)[..., None]  # 12 bits
    tag = [(281, "H", 1, 4095, True)]
    tifffile.imwrite(tmp_path / "tag.tif", values[..., 0], extratags=tag)
    with (tmp_path / "plain.png").open("wb") as file:
        arrays.write_png(file, values, None, {})
    data = (tmp_path / "plain.png").read_bytes()
    chunk = b"sBIT\x0c"
    sbit = b"\0\0\0\x01" + chunk + __import__("zlib").crc32(chunk).to_bytes(4, "big")
    (tmp_path / "sbit.png").write_bytes(data[:33] + sbit + data[33:])
    assert decode(tmp_path / "tag.tif").window == decode(tmp_path / "sbit.png").window == (0, 4095)
    assert decode(tmp_path / "plain.png").window == (0, 65535)
    note = PixelFormat(1).dark_image_note("data.a", tmp_path / "plain.png")
    assert note is not None
    assert note.startswith(f"data.a: the largest value of {tmp_path / 'plain.png'} is {values.max()} of 65535")
    assert note.endswith("if they have 12 bits, set data.range = [0, 4095]")
    assert PixelFormat(1).dark_image_note("data.a", tmp_path / "sbit.png") is None


def test_percentiles_are_of_each_image(tmp_path: Path) -> None:
    values = np.arange(101, dtype=np.uint16).reshape(1, 101) * 100
    np.save(tmp_path / "x.npy", values)
    pixels = to_float(PixelFormat(1, percentiles=(10, 90)).read(tmp_path / "x.npy"))
    assert pixels[0, 10, 0] == -1
    assert pixels[0, 90, 0] == 1
    assert np.count_nonzero(pixels == -1) == 11


def test_grey_and_colour_are_converted_to_each_other(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "grey.png")
    Image.new("RGB", (4, 3), (10, 200, 30)).save(tmp_path / "rgb.png")
    Image.new("RGBA", (4, 3), (10, 200, 30, 0)).save(tmp_path / "clear.png")
    grey = PixelFormat(1).read(tmp_path / "rgb.png")
    assert isinstance(grey, Image.Image)
    assert (grey.mode, grey.getpixel((0, 0))) == ("L", Image.open(tmp_path / "rgb.png").convert("L").getpixel((0, 0)))
    assert to_tensor(PixelFormat(1).read(tmp_path / "grey.png")).shape == (1, 3, 4)
    assert to_float(PixelFormat(1).read(tmp_path / "clear.png")).max() == 1
    four = to_float(PixelFormat(4).read(tmp_path / "clear.png"))
    assert four[0, 0].tolist() == pytest.approx([10 / 127.5 - 1, 200 / 127.5 - 1, 30 / 127.5 - 1, -1])
    deep = np.array([[[65535, 0, 0, 0], [65535, 0, 0, 65535]]], np.uint16)
    with (tmp_path / "deep.png").open("wb") as file:
        arrays.write_png(file, deep, None, {})
    assert to_float(PixelFormat(3).read(tmp_path / "deep.png"))[0].tolist() == [[1, 1, 1], [1, -1, -1]]


def exchanged_primaries() -> bytes:
    """The profile sRGB with red and green exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    return profile.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


def test_profiles_are_converted_to_srgb_unless_switched_off(tmp_path: Path) -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    red.save(tmp_path / "mine.png", icc_profile=exchanged_primaries())
    red.save(tmp_path / "srgb.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red.save(tmp_path / "broken.png", icc_profile=b"no profile")
    half = red.convert("RGBA")
    half.putalpha(128)
    half.save(tmp_path / "half.png", icc_profile=exchanged_primaries())
    for name in ("srgb.png", "broken.png"):
        assert read_image(tmp_path / name).tobytes() == red.tobytes(), name
    assert read_image(tmp_path / "mine.png").getpixel((0, 0)) == (0, 255, 0)
    assert read_image(tmp_path / "half.png").getpixel((0, 0)) == (127, 255, 127)
    off = PixelFormat(srgb=False).read(tmp_path / "mine.png")
    assert isinstance(off, Image.Image)
    assert off.tobytes() == red.tobytes()


class Entry:
    """An image in an archive."""

    def __init__(self, archive: Path, name: str) -> None:
        self.archive, self.name, self.suffix = archive, name, Path(name).suffix

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        return io.BytesIO(zipfile.ZipFile(self.archive).read(self.name))


def test_entries_of_archives_are_read_like_files(tmp_path: Path) -> None:
    values = noise(5, 9, 14)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", planarconfig="separate")
    Image.new("RGB", (4, 3), (10, 200, 30)).save(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("x.tif", "x.png"):
            archive.write(tmp_path / name, name)
        archive.writestr("bad.png", b"nothing")
    for name, channels in (("x.tif", 5), ("x.png", 3)):
        format = PixelFormat(channels)
        entry = format.read(Entry(tmp_path / "all.zip", name))
        assert np.array_equal(to_float(entry), to_float(format.read(tmp_path / name)))
    with pytest.raises(UnreadableImage, match=r"all.zip!bad.png: its bytes are of no known image format"):
        PixelFormat().read(Entry(tmp_path / "all.zip", "bad.png"))


def test_images_of_many_channels_can_be_shown() -> None:
    for channels, shown in ((1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])):
        image = torch.rand(2, channels, 4, 6) * 2 - 1
        assert torch.equal(visible(image), image[:, shown])
    assert to_image(torch.zeros(1, 4, 6)).mode == "L"
