"""Read and write images as arrays [H, W, C]: TIFF of any depth and number of bands, 16-bit PNG, .npy and .npz."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFile

from i2i.core.spelling import did_you_mean
from i2i.errors import DataError

CheckPixels = Callable[[int, int], None]
"""Takes width and height, and raises where an image is too large to be read."""
ORIENTATION = 0x0112
"""The EXIF and TIFF tag."""
_MIN_IS_WHITE = 0
_UNSPECIFIED, _ASSOCIATED, _UNASSOCIATED = 0, 1, 2
_SWAPPED = MappingProxyType({"L": "B", "B": "L", "N": "B" if np.little_endian else "L"})
_PNG_COLOR = MappingProxyType({1: 0, 2: 4, 3: 2, 4: 6})
"""PNG's color type by number of channels."""


class UnknownCompression(DataError):  # noqa: N818 - the name says what the file has
    """A TIFF file that only an optional package can decompress."""


def type_window(dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """Return the values that are black and white in unsigned integers of 8 and 16 bits; None for other types."""
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return 0.0, float(np.iinfo(dtype).max)
    return None


def check_page(page: int, pages: int) -> None:
    """Check the number of a page.

    Raises:
        DataError: the file has no such page.
    """
    if not 0 <= page < pages:
        raise DataError(f"data.page: expected a page from 0 to {pages - 1}, got {page}")


def turned(pixels: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Rotate and mirror pixels [H, W, C] as an EXIF orientation from 1 to 8 says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def read_tiff(
    stream: IO[bytes], page: int | str | None, channels: int, check: CheckPixels
) -> tuple[NDArray[Any], tuple[float, float] | None, bool]:
    """Read a page of a TIFF file, or all of its pages as channels.

    Returns:
        pixels: [H, W, C] of the file's type, upright.
        window: values that are black and white: MinSampleValue and MaxSampleValue where the file has them, or those of
            the number of bits per sample.
        alpha: whether the last channel is opacity.

    Raises:
        UnknownCompression: the file's compression needs the package imagecodecs.
        DataError: no such page, or pages of different sizes.
    """
    with tifffile.TiffFile(stream) as file:
        pages = file.pages
        if isinstance(page, str) and page != "all":
            raise DataError(f"data.page: expected a number or 'all', got {page!r}; only .npz files have named pages")
        if isinstance(page, int):
            check_page(page, len(pages))
        first: Any = pages[page if isinstance(page, int) else 0]
        stacked = page == "all" or (page is None and first.samplesperpixel == 1 < channels == len(pages))
        chosen: list[Any] = list(pages) if stacked else [first]
        check(first.imagewidth, first.imagelength * len(chosen))
        if any(one.shape != first.shape for one in chosen):
            raise DataError("its pages have different sizes, so they cannot be channels of one image; set data.page")
        try:
            planes = [_page_pixels(one) for one in chosen]
        except ValueError as error:
            if "imagecodecs" in str(error):
                raise UnknownCompression(
                    f"its compression {first.compression.name} needs the package imagecodecs (pip install imagecodecs)"
                ) from error
            raise
        pixels = np.concatenate(planes, 2) if stacked else planes[0]
        window = _tiff_window(first, pixels.dtype)
        if int(first.photometric) == _MIN_IS_WHITE and window is not None:
            pixels = (window[0] + window[1] - pixels).astype(pixels.dtype)
        alpha = not stacked and any(int(kind) in (_ASSOCIATED, _UNASSOCIATED) for kind in first.extrasamples[-1:])
        tag = first.tags.get(ORIENTATION)
        return turned(pixels, tag.value if tag is not None else 1), window, alpha


def tiff_facts(stream: IO[bytes]) -> tuple[int, bytes | None, list[str]]:
    """Return the number of pages of a TIFF file, its colour profile, and what it holds that is not kept."""
    with tifffile.TiffFile(stream) as file:
        tags: Any = file.pages[0].tags  # type: ignore[union-attr]
        profile = tags.get(34675)
        geo = any(code in tags for code in (33550, 33922, 34735))  # of GeoTIFF
        exif = any(code in tags for code in (34665, 34853))
        lost = ["georeference"] * geo + ["EXIF"] * exif
        return len(file.pages), None if profile is None else bytes(profile.value), lost


def _page_pixels(page: Any) -> NDArray[Any]:
    """The pixels [H, W, C] of one page."""
    pixels: NDArray[Any] = page.asarray()
    if page.axes == "SYX":  # bands one after the other, as GDAL's INTERLEAVE=BAND writes them
        pixels = pixels.transpose(1, 2, 0)
    elif page.axes == "YX":
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.dtype.kind not in "biuf":
        raise DataError(f"expected pages of pixels [H, W, C], got axes {page.axes} of {pixels.dtype}")
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels


def _tiff_window(page: Any, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    def value(*codes: int) -> float | None:
        tags = [page.tags[code].value for code in codes if code in page.tags]
        return None if not tags else float(max(tags[0]) if isinstance(tags[0], tuple) else tags[0])

    low, high = value(340, 280), value(341, 281)  # SMinSampleValue, MinSampleValue; SMaxSampleValue, MaxSampleValue
    if high is not None and high > (low or 0.0):
        return low or 0.0, high
    if dtype.kind == "u" and page.bitspersample <= 16:
        return 0.0, float(2**page.bitspersample - 1)
    return None


def write_tiff(file: IO[bytes], pages: list[NDArray[Any]], icc_profile: bytes | None, alpha: bool, notes: str) -> None:
    """Write images [H, W, C] as the pages of a TIFF file, compressed without loss.

    Args:
        file: open for writing.
        pages: images of one type.
        icc_profile: colour profile, if any.
        alpha: whether the last channel is opacity.
        notes: image description; none where empty.
    """
    with tifffile.TiffWriter(file) as writer:
        for pixels in pages:
            colors = pixels.shape[2] - alpha
            extra = [_UNSPECIFIED] * (colors - (3 if colors == 3 else 1)) + [_UNASSOCIATED] * alpha
            writer.write(
                pixels[..., 0] if pixels.shape[2] == 1 else pixels,
                photometric="rgb" if colors == 3 else "minisblack",
                planarconfig=None if pixels.shape[2] == 1 else "contig",
                extrasamples=extra or None,
                compression="zlib",
                iccprofile=icc_profile,
                description=notes.encode("ascii", "replace") or None,
                metadata=None,
            )


def deep_planes(image: Image.Image, reopen: Callable[[], Image.Image]) -> NDArray[np.uint16] | None:
    """Decode all 16 bits of a PNG or TIFF of several channels, of which Pillow keeps the upper eight.

    Pillow's raw modes name the order of the two bytes of a sample. Decoded once in each order, the file gives the upper
    and the lower bytes.

    Args:
        image: opened and not loaded yet.
        reopen: opens the image again.

    Returns:
        pixels: [H, W, C]; None for an image of another depth, or of one channel, which Pillow reads without loss.
    """
    tiles = getattr(image, "tile", None)
    if not tiles or not isinstance(image, ImageFile.ImageFile):
        return None
    args = tiles[0].args
    mode = args if isinstance(args, str) else args[0]
    if not isinstance(mode, str) or mode[:-1] not in ("RGB;16", "RGBA;16", "LA;16"):
        return None
    if mode.startswith("LA"):  # both bytes of both samples as four channels
        image.tile = [_with_mode(tile, "RGBA") for tile in tiles]
        image.load()
        four = np.asarray(image).astype(np.uint16)
        return np.stack([four[..., 0] << 8 | four[..., 1], four[..., 2] << 8 | four[..., 3]], 2)
    image.load()
    high = np.asarray(image).astype(np.uint16)
    again: Any = reopen()
    again.seek(image.tell())
    again.tile = [_with_mode(tile, mode[:-1] + _SWAPPED[mode[-1]]) for tile in again.tile]
    pixels: NDArray[np.uint16] = high << 8 | np.asarray(again)
    return pixels


def _with_mode(tile: Any, mode: str) -> Any:
    return tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))


def png_window(stream: IO[bytes], pixels: NDArray[Any]) -> tuple[float, float]:
    """Return the black and white values of a 16-bit PNG, whose chunk sBIT may name fewer significant bits.

    The standard wants samples scaled to 16 bits. Where none needs more than the significant bits, the writer left them
    unscaled, and white is the largest value of these bits.
    """
    stream.seek(8)
    while len(header := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"sBIT":
            bits = max(stream.read(length), default=16)
            return 0.0, float(2**bits - 1) if 0 < bits < 16 and int(pixels.max()) < 2**bits else 65535.0
        if kind in (b"IDAT", b"IEND"):
            break
        stream.seek(length + 4, 1)
    return 0.0, 65535.0


def write_png(file: IO[bytes], pixels: NDArray[np.uint16], icc_profile: bytes | None, notes: Mapping[str, str]) -> None:
    """Write a 16-bit PNG of one to four channels, which Pillow writes only in grey.

    Args:
        file: open for writing.
        pixels: [H, W, C]; the last of two or four channels is opacity.
        icc_profile: colour profile, if any.
        notes: text chunks by keyword.
    """

    def chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    # Filter 2, the difference from the row above, in arithmetic modulo 256.
    filtered = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOR[channels], 0, 0, 0))
    if icc_profile:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))
    for name, text in notes.items():
        chunk(b"iTXt", name.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + text.encode())
    numbered = np.concatenate([np.full((height, 1), 2, np.uint8), filtered], 1)
    chunk(b"IDAT", zlib.compress(numbered.tobytes()))
    chunk(b"IEND", b"")


def read_npy(stream: IO[bytes], check: CheckPixels) -> NDArray[Any]:
    """Read an array, without unpickling objects.

    Raises:
        DataError: it holds objects.
    """
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError("it holds Python objects, which are not read; save an array of numbers")
    sides = sorted(shape)[-2:]  # the header alone decides how much memory is needed
    check(sides[-1] if sides else 1, sides[0] if len(sides) > 1 else 1)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def read_npz(stream: IO[bytes], page: int | str | None, check: CheckPixels) -> NDArray[Any]:
    """Read one array of an .npz file, or all arrays [H, W] as channels.

    Raises:
        DataError: no such array.
    """
    with zipfile.ZipFile(stream) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        if not names:
            raise DataError("it is a zip file without arrays")
        short = [name.removesuffix(".npy") for name in names]
        if isinstance(page, str) and page != "all" and page not in short:
            raise DataError(f"data.page: no array {page!r}.{did_you_mean(page, short)} Arrays: {', '.join(short)}")
        if isinstance(page, int):
            check_page(page, len(names))
        if page == "all":
            chosen = names
        else:
            chosen = [names[page] if isinstance(page, int) else f"{page}.npy" if page else names[0]]
        found = []
        for name in chosen:
            with archive.open(name) as member:
                found.append(read_npy(member, check))
        return np.stack(found, -1) if page == "all" else found[0]


def check_writable(pixels: NDArray[Any]) -> None:
    """Check that an array has one to four channels of 16 bits, as PNG needs.

    Raises:
        DataError: it has not.
    """
    if pixels.dtype != np.uint16 or pixels.shape[2] not in _PNG_COLOR:
        raise DataError(f"PNG holds 1 to 4 channels of 8 or 16 bits, got {pixels.shape[2]} of {pixels.dtype}")
