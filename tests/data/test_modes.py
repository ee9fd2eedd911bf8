"""Images of every mode and orientation, written to files here, come back as upright RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.data.images import UnreadableImage, read_image
from i2i.data.modes import to_rgb, upright

ORIENTATION = 0x0112


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def reason(path: Path) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert str(caught.value) == f"cannot read {path}: {caught.value.reason}"
    assert caught.value.path == path
    return caught.value.reason


def one_pixel(mode: str, value: object, **info: object) -> Image.Image:
    image = Image.new(mode, (1, 1), value)  # type: ignore[arg-type]
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("mode", "value", "suffix", "expected"),
    [
        ("1", 255, ".png", (255, 255, 255)),
        ("1", 0, ".tif", (0, 0, 0)),
        ("L", 77, ".png", (77, 77, 77)),
        ("L", 77, ".pgm", (77, 77, 77)),
        ("LA", (100, 255), ".png", (100, 100, 100)),
        ("LA", (100, 0), ".png", (255, 255, 255)),
        ("RGB", (1, 2, 3), ".bmp", (1, 2, 3)),
        ("RGB", (1, 2, 3), ".tga", (1, 2, 3)),
        ("RGB", (1, 2, 3), ".ppm", (1, 2, 3)),
        ("RGBA", (10, 20, 30, 255), ".png", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), ".tif", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), ".png", (204, 204, 204)),
        ("CMYK", (0, 255, 255, 0), ".tif", (255, 0, 0)),
        ("CMYK", (0, 0, 0, 255), ".tif", (0, 0, 0)),
        ("YCbCr", (76, 85, 255), ".tif", (254, 0, 0)),
        ("LAB", (255, 128, 128), ".tif", (254, 255, 254)),
        ("I;16", 65535, ".png", (255, 255, 255)),
        ("I;16", 257 * 100, ".png", (100, 100, 100)),
        ("I;16", 257 * 100 + 129, ".tif", (101, 101, 101)),
        ("I", 257 * 7, ".tif", (7, 7, 7)),
        ("F", 0.5, ".tif", (128, 128, 128)),
    ],
)
def test_modes(tmp_path: Path, mode: str, value: object, suffix: str, expected: tuple[int, int, int]) -> None:
    path = tmp_path / f"one{suffix}"
    one_pixel(mode, value).save(path)
    assert tuple(pixels(path)[0, 0]) == expected


def test_palette_without_and_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    image.save(tmp_path / "half.png", transparency=bytes([255, 0]))
    image.save(tmp_path / "clear.gif", transparency=1)
    assert pixels(tmp_path / "plain.png")[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    for name in ("clear.png", "half.png", "clear.gif"):
        assert pixels(tmp_path / name)[0].tolist() == [[10, 20, 30], [255, 255, 255]], name


def test_one_transparent_color(tmp_path: Path) -> None:
    one_pixel("RGB", (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    one_pixel("L", 9).save(tmp_path / "grey.png", transparency=9)
    deep = one_pixel("I;16", 500, transparency=500)
    assert pixels(tmp_path / "rgb.png").tolist() == [[[255, 255, 255]]]
    assert pixels(tmp_path / "grey.png").tolist() == [[[255, 255, 255]]]
    assert to_rgb(deep).getpixel((0, 0)) == (255, 255, 255)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "ink.jpg", quality=100)
    assert np.abs(pixels(tmp_path / "ink.jpg").astype(int) - [255, 0, 0]).max() <= 2


def test_16_bits_of_either_byte_order(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint16) * 257
    Image.frombytes("I;16B", (16, 16), values.astype(">u2").tobytes()).save(tmp_path / "big.tif")
    (tmp_path / "deep.pgm").write_bytes(b"P5 16 16 65535\n" + values.astype(">u2").tobytes())
    for name in ("big.tif", "deep.pgm"):
        assert pixels(tmp_path / name)[..., 1].reshape(-1).tolist() == list(range(256)), name


def test_values_without_a_known_range_are_refused(tmp_path: Path) -> None:
    one_pixel("I", 70000).save(tmp_path / "wide.tif")
    one_pixel("F", 255.0).save(tmp_path / "bright.tif")
    one_pixel("F", float("nan")).save(tmp_path / "nan.tif")
    text = (
        "its values run from {0} to {0}, where {1} was expected to hold 0 to {2}; give data.range = [LOWEST, HIGHEST], "
        "or data.percentiles"
    )
    assert reason(tmp_path / "wide.tif") == text.format("70000", "int32", "65535")
    assert reason(tmp_path / "bright.tif") == text.format("255", "float32", "1")
    assert reason(tmp_path / "nan.tif") == text.format("nan", "float32", "1")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    path = tmp_path / f"film{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    image = Image.new("L", (32, 16), 0)
    image.paste(255, (0, 0, 16, 8))  # the upper left quarter as stored
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"turned{suffix}"
    image.save(path, exif=exif)
    upright = pixels(path)[..., 0]
    height, width = upright.shape
    assert (width, height) == ((32, 16) if orientation <= 4 else (16, 32))
    corners = upright[4, 4], upright[4, -4], upright[-4, -4], upright[-4, 4]  # clockwise from the upper left
    assert int(np.argmax(corners)) == {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 1, 7: 2, 8: 3}[orientation]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "white").save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    Image.new("RGB", (8, 8), "white").save(tmp_path / "junk.jpg", exif=b"Exif\0\0no tiff at all")
    assert pixels(tmp_path / "odd.jpg").min() == pixels(tmp_path / "junk.jpg").min() == 255


def test_what_is_upright_stays_so() -> None:
    image = Image.new("RGB", (4, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    with Image.open(file) as opened:
        opened.load()
        once = upright(opened)
    assert once.size == (2, 4)
    assert upright(once).size == (2, 4)
