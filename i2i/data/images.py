"""Finds image files, reads them as RGB, and converts between images and tensors in [-1, 1]."""

from __future__ import annotations

import os
import stat
import sys
import threading
import unicodedata
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, overload

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from i2i.data.locations import check_folder
from i2i.data.modes import to_rgb, upright
from i2i.errors import DataError

_RASTER = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA")
_BY_SUFFIX = MappingProxyType(Image.registered_extensions())  # registers every reader that this Pillow was built with
# Only these readers are used: others start programs (EPS), need handlers (HDF5), or hold no images (MPEG).
_FORMATS = tuple(name for name in _RASTER if name in Image.OPEN)

LIMIT_VARIABLE = "I2I_MAX_PIXELS"
_LIMIT_LOCK = threading.Lock()

SUFFIXES = frozenset(suffix for suffix, name in _BY_SUFFIX.items() if name in _FORMATS)
"""File name endings that count as images: lower case, with the dot."""


class UnreadableImage(DataError):  # noqa: N818 - the name says what the file is
    """A file that is not an image, or is damaged.

    Args:
        path: the file.
        reason: what is wrong with it, as the end of a sentence.
    """

    def __init__(self, path: Path, reason: str) -> None:
        # Names from old archives may hold bytes that are not UTF-8, or characters that control a terminal.
        text = f"cannot read {path}: {reason}"
        super().__init__("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text))
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[Path, str]]:
        return UnreadableImage, (self.path, self.reason)  # the default would call it with the message alone


def read_image(path: Path) -> Image.Image:
    """Reads an image of any mode as upright 8-bit RGB.

    The EXIF orientation is applied, transparent pixels are composited over white, of an animation the first frame is
    taken, and deeper images are converted to 8 bits as in `to_rgb`. Colour profiles are not applied, as in the
    reference implementations.

    Args:
        path: a file; its bytes, not its suffix, say which format it has.

    Returns:
        image: mode RGB, detached from the file.

    Raises:
        UnreadableImage: names the file and what is wrong with it.
    """
    if problem := _problem_of_file(path):
        raise UnreadableImage(path, problem)
    # TGA has no signature, so its reader would accept many files that are not images at all.
    is_tga = _BY_SUFFIX.get(path.suffix.lower()) == "TGA"
    formats = tuple(name for name in _FORMATS if is_tga or name != "TGA")
    try:
        # A file object, for given a path Pillow maps raw TIFFs into memory, and mixes up the pixels of turned ones.
        with path.open("rb") as file, _open(file, formats) as image:
            if image.width * image.height > pixel_limit():
                raise DataError(
                    f"it has {image.width} x {image.height} pixels, more than the limit of {pixel_limit()}; to read "
                    f"it, set the environment variable {LIMIT_VARIABLE}={image.width * image.height}"
                )
            image.load()
            return to_rgb(upright(image))
    except MemoryError:
        raise  # the machine's problem, not the file's
    except DataError as error:
        raise UnreadableImage(path, str(error)) from error
    except Exception as error:  # on damaged bytes decoders raise nearly anything: SyntaxError, struct.error, KeyError
        raise UnreadableImage(path, _problem_of_bytes(path, error)) from error


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


def _open(file: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """`Image.open` without Pillow's own limit, which warns at a size and raises at twice that size.

    The limit is a global of Pillow that its file plugins read, too; the lock keeps threads from restoring it in the
    wrong order.
    """
    with _LIMIT_LOCK:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


@overload
def as_path(path: Path | str) -> Path: ...
@overload
def as_path(path: Path | str | None) -> Path | None: ...
def as_path(path: Path | str | None) -> Path | None:
    """A path that was given as text or not at all, with `~` expanded, as a constructor called from Python gets it."""
    return None if path is None else Path(path).expanduser()


def find_images(folder: Path) -> list[Path]:
    """All images in a folder and its subfolders, in an order that is the same on every system.

    A file is an image if its name ends in one of `SUFFIXES`, in upper or lower case. Hidden files and folders (`.name`)
    are passed over, and so are links to folders and links to files outside `folder`.

    Args:
        folder: where to look.

    Returns:
        paths: `folder / ...`, sorted by code points of the relative path in NFC, because macOS may hand out NFD.

    Raises:
        DataError: the folder is missing, is a file, cannot be listed, or holds no image.
    """
    check_folder(folder)
    home = folder.resolve()
    images: list[Path] = []
    others: Counter[str] = Counter()
    links = 0
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += sum(Path(parent, name).is_symlink() for name in folders)  # os.walk does not enter them
        for name in names:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() not in SUFFIXES:
                others[path.suffix or "no suffix"] += 1
            elif path.is_symlink() and not _target(path).is_relative_to(home):
                links += 1
            else:
                images.append(path)
    if not images:
        raise DataError(_no_image(folder, others, links))

    def key(path: Path) -> tuple[str, str]:
        name = path.relative_to(folder).as_posix()
        return unicodedata.normalize("NFC", name), name

    return sorted(images, key=key)


def _target(link: Path) -> Path:
    # Path.resolve() raises on a link to itself up to Python 3.12.
    return Path(os.path.realpath(link))


def _cannot_list(error: OSError) -> None:
    raise DataError(f"cannot list folder {error.filename}: the system says {error.strerror!r}") from error


def _no_image(folder: Path, others: Counter[str], links: int) -> str:
    found = "nothing"
    if total := others.total():
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in others.most_common(8))
        found = f"{total} file{'s' * (total > 1)}, none of them an image: {kinds}"
    if links:
        found += f"; and {links} link{'s' * (links > 1)} to folders or out of the folder, which are not followed"
    return f"folder {folder} holds no image; looked for {' '.join(sorted(SUFFIXES))}, found {found}"


def to_tensor(image: Image.Image) -> Tensor:
    """Converts an RGB image by `(x / 255 - 0.5) / 0.5`: [3, H, W] float32 in [-1, 1].

    Raises:
        DataError: the image has another mode.
    """
    if image.mode != "RGB":
        raise DataError(f"to_tensor: expected an image of mode RGB, got {image.mode}; call to_rgb first")
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    # These three operations in this order, and not x / 127.5 - 1, are bit for bit what the references compute.
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255).sub_(0.5).div_(0.5)


def to_image(tensor: Tensor) -> Image.Image:
    """Converts a tensor [3, H, W] in [-1, 1] to an RGB image.

    Values are rounded to the nearest of 256 levels; those outside the range are clamped.

    Raises:
        DataError: the tensor has another shape.
    """
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise DataError(f"to_image: expected a tensor [3, H, W], got {list(tensor.shape)}; take one sample of a batch")
    levels = tensor.detach().to("cpu", torch.float32).mul(0.5).add(0.5).mul(255).round().clamp(0, 255)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


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


def _problem_of_bytes(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        with path.open("rb") as file:
            return f"its bytes are of no known image format, they begin with {file.read(16)!r}"
    if isinstance(
        error, Image.DecompressionBombError
    ):  # of a frame inside the file that is larger than its header says
        return f"a part of it is larger than Pillow's limit of {Image.MAX_IMAGE_PIXELS} pixels ({error})"
    if isinstance(error, OSError) and error.strerror:
        return f"the system says {error.strerror!r}"
    return f"it is damaged or cut short (Pillow: {error})"
