"""Decode image files of any bit depth and number of channels, from folders or from archives."""

from __future__ import annotations

import os
import stat
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from i2i.data import arrays
from i2i.data.arrays import type_window
from i2i.data.modes import upright
from i2i.errors import DataError, SourceError

_RASTER = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")
_BY_SUFFIX = MappingProxyType(Image.registered_extensions())  # registers every reader that this Pillow was built with
# Only these readers are used: others start programs (EPS), need handlers (HDF5), or hold no images (MPEG).
_FORMATS = tuple(name for name in _RASTER if name in Image.OPEN)
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NUMPY, _ZIP = b"\x93NUM", b"PK\x03\x04"

LIMIT_VARIABLE = "I2I_MAX_PIXELS"
_LIMIT_LOCK = threading.Lock()

SUFFIXES = frozenset(suffix for suffix, name in _BY_SUFFIX.items() if name in _FORMATS) | {".npy", ".npz"}
"""File name endings that count as images: lower case, with the dot."""

Page = int | str | None
"""Number of a page or frame, from 0; name of an array in an .npz file; `all`: pages are channels. None is the first,
or `all` where the file has as many pages of one channel as there are channels to read."""


class ImageFile(Protocol):
    """What reading needs of a file: a `Path`, or an entry of an archive; `str()` names it in messages."""

    @property
    def name(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    def open(self, mode: Literal["rb"], /) -> IO[bytes]: ...


class UnreadableImage(DataError):  # noqa: N818 - the name says what the file is
    """A file that is not an image, or is damaged.

    Args:
        path: the file.
        reason: what is wrong with it, as the end of a sentence.
    """

    def __init__(self, path: ImageFile, reason: str) -> None:
        # Names from old archives may hold bytes that are not UTF-8, or characters that control a terminal.
        text = f"cannot read {path}: {reason}"
        super().__init__("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text))
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[ImageFile, str]]:
        return UnreadableImage, (self.path, self.reason)  # the default would call it with the message alone


class Decoded(NamedTuple):
    """An image as its file stores it, upright.

    Args:
        pixels: a Pillow image where the file has 8 bits per sample; else an array [H, W, C] of the file's type.
        window: the values of an array that are black and white, as the file or its type says; None where neither does.
        alpha: whether the last channel of an array is opacity, from 0 to white.
    """

    pixels: Image.Image | NDArray[Any]
    window: tuple[float, float] | None = None
    alpha: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(self.pixels, Image.Image):
            return self.pixels.height, self.pixels.width
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


def decode(file: ImageFile, page: Page = None, channels: int = 3) -> Decoded:
    """Decode a file without losing depth or channels.

    The EXIF orientation is applied. Of several pages or frames, one is read, or all as channels.

    Args:
        file: a path, or an entry of an archive; its bytes, not its suffix, say which format it has.
        page: which page, frame or array of the file.
        channels: number of channels that will be used. It decides what a file leaves open: which axis of an array
            [C, H, W] or [H, W, C] is the channels, and whether pages are channels.

    Raises:
        UnreadableImage: names the file and what is wrong with it.
    """
    if isinstance(file, Path) and (problem := _problem_of_file(file)):
        raise UnreadableImage(file, problem)
    try:
        # A file object, for given a path Pillow maps raw TIFFs into memory, and mixes up the pixels of turned ones.
        with file.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            if head == _NUMPY:
                return _of_numpy(arrays.read_npy(stream, _check_pixels), channels)
            if head == _ZIP and zipfile.is_zipfile(stream):
                return _of_numpy(arrays.read_npz(stream, page, _check_pixels), channels)
            # TGA has no signature, so its reader would accept many files that are not images at all.
            is_tga = _BY_SUFFIX.get(file.suffix.lower()) == "TGA"
            formats = tuple(name for name in _FORMATS if is_tga or name != "TGA")
            if head in TIFF_SIGNATURES:
                return _decode_tiff(stream, page, channels)
            with open_limited(stream, formats) as image:
                _check_pixels(image.width, image.height)
                return _decode_pillow(image, page, stream)
    except MemoryError:
        raise  # the machine's problem, not the file's
    except SourceError:
        raise  # the network's problem or the archive's; the image may be whole
    except DataError as error:
        raise UnreadableImage(file, str(error)) from error
    except Exception as error:  # on damaged bytes decoders raise nearly anything: SyntaxError, struct.error, KeyError
        raise UnreadableImage(file, _problem_of_bytes(file, error)) from error


def _decode_pillow(image: Image.Image, page: Page, stream: IO[bytes]) -> Decoded:
    _seek(image, page)
    pixels: NDArray[Any] | None = arrays.deep_planes(image, lambda: open_limited(stream))
    if pixels is None:
        _load_limited(image)
        if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
            return Decoded(upright(image))
        pixels = np.asarray(image)[..., None]
        if image.mode == "I" and pixels.min() >= 0 and pixels.max() < 65536:  # a 16-bit PGM in a wider type
            pixels = pixels.astype(np.uint16)
    window = type_window(pixels.dtype) if image.format != "PNG" else arrays.png_window(stream, pixels)
    pixels = arrays.turned(pixels, image.getexif().get(arrays.ORIENTATION, 1))
    if (key := image.info.get("transparency")) is None:
        return Decoded(pixels, window, pixels.shape[2] in (2, 4))
    # One value, or one color, of a 16-bit PNG is transparent.
    opaque = (pixels != np.asarray(key)).any(-1, keepdims=True) * np.uint16((window or (0, 65535))[1])
    return Decoded(np.concatenate([pixels, opaque.astype(pixels.dtype)], 2), window, True)


def _decode_tiff(stream: IO[bytes], page: Page, channels: int) -> Decoded:
    """8-bit pages of at most four channels by Pillow, which knows palettes and colour spaces; others by tifffile."""
    try:
        image: Image.Image | None = open_limited(stream, ("TIFF",))
    except (UnidentifiedImageError, SyntaxError, ValueError, TypeError):
        image = None
    if image is not None:
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        eight_bits = set(tags.get(258, (1,))) <= {1, 2, 4, 8} and image.mode not in ("I", "F")
        stacked = page == "all" or (page is None and channels not in (1, 3) and len(image.getbands()) != channels)
        if eight_bits and not stacked:
            _check_pixels(image.width, image.height)
            return _decode_pillow(image, page, stream)
    stream.seek(0)
    try:
        found = arrays.read_tiff(stream, page, channels, _check_pixels)
    except arrays.UnknownCompression as error:
        # Pillow's own decompressors read those of its modes that lose nothing.
        if image is None or page == "all":
            raise DataError(str(error)) from error
        decoded = _decode_pillow(image, page, stream)
        if isinstance(decoded.pixels, Image.Image):
            raise DataError(str(error)) from error
        return decoded
    return Decoded(*found)


def _of_numpy(values: NDArray[Any], channels: int) -> Decoded:
    """An array as pixels [H, W, C]; of three axes, the last or else the first is the channels."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.dtype.kind not in "biuf":
        raise DataError(
            f"expected an array [H, W], [H, W, C] or [C, H, W] of integers or floats, got {list(values.shape)} of "
            f"{values.dtype}"
        )
    if values.shape[0] == channels != values.shape[2]:
        values = values.transpose(1, 2, 0)
    if values.dtype == np.bool_:
        return Decoded(values.astype(np.uint8), (0.0, 1.0))
    return Decoded(values, type_window(values.dtype))


def _seek(image: Image.Image, page: Page) -> None:
    frames = 1 if page is None else int(getattr(image, "n_frames", 1))
    if isinstance(page, str) and page != "all":
        raise DataError(f"data.page: expected a number or 'all', got {page!r}; only .npz files have named pages")
    if isinstance(page, int):
        arrays.check_page(page, frames)
        image.seek(page)
    elif page == "all" and frames > 1:
        raise DataError(f"data.page = 'all' needs a TIFF or .npz file, got {frames} frames of {image.format}")


def _check_pixels(width: int, height: int) -> None:
    """Check the size of an image before it is decoded.

    Raises:
        DataError: it has more pixels than `pixel_limit`.
    """
    if width * height > pixel_limit():
        raise DataError(
            f"it has {width} x {height} pixels, more than the limit of {pixel_limit()}; to read it, set the "
            f"environment variable {LIMIT_VARIABLE}={width * height}"
        )


def pixel_limit() -> int:
    """Largest number of pixels of an image that is read: `I2I_MAX_PIXELS`, or Pillow's `Image.MAX_IMAGE_PIXELS`.

    A small file may hold an image that fills the memory when it is decoded, so there has to be a limit.

    Raises:
        DataError: `I2I_MAX_PIXELS` is not a positive integer.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if text is None:
        return sys.maxsize if Image.MAX_IMAGE_PIXELS is None else Image.MAX_IMAGE_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise DataError(f"environment variable {LIMIT_VARIABLE}: expected a positive integer, got {text!r}")
    return int(text)


def open_limited(stream: IO[bytes], formats: tuple[str, ...] = _FORMATS) -> Image.Image:
    """`Image.open` without Pillow's own limit, which warns at a size and raises at twice that size.

    The limit is a global of Pillow that its file plugins read, too; the lock keeps threads from restoring it in the
    wrong order.
    """
    with _without_limit():
        return Image.open(stream, formats=formats)


def _load_limited(image: Image.Image) -> None:
    """`Image.load`; of an image that `I2I_MAX_PIXELS` allows, without Pillow's limit on its frames and tiles."""
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or sys.maxsize):
        with _without_limit():
            image.load()
    else:
        image.load()


@contextmanager
def _without_limit() -> Iterator[None]:
    with _LIMIT_LOCK:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _problem_of_file(path: Path) -> str | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"it is a link to {path.readlink()}, which does not exist" if path.is_symlink() else "it does not exist"
    except OSError as error:
        return f"the system says {error.strerror!r}"
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder, not an image"
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        return "it is not a regular file"
    return "it is empty (0 bytes)" if status.st_size == 0 else None


def _problem_of_bytes(file: ImageFile, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        with file.open("rb") as stream:
            return f"its bytes are of no known image format, they begin with {stream.read(16)!r}"
    if isinstance(
        error, Image.DecompressionBombError
    ):  # of a frame inside the file that is larger than its header says
        return f"a part of it is larger than Pillow's limit of {Image.MAX_IMAGE_PIXELS} pixels ({error})"
    if isinstance(error, OSError) and error.strerror:
        return f"the system says {error.strerror!r}"
    decoder = "Pillow" if not type(error).__module__.startswith("tifffile") else "tifffile"
    return f"it is damaged or cut short ({decoder}: {error})"
