"""Find image files, and read them as RGB."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from i2i.data.decoding import SUFFIXES as SUFFIXES
from i2i.data.decoding import ImageFile
from i2i.data.decoding import UnreadableImage as UnreadableImage
from i2i.data.decoding import pixel_limit as pixel_limit
from i2i.data.locations import check_folder
from i2i.data.pixels import PixelFormat, unscale
from i2i.data.pixels import to_image as to_image
from i2i.data.pixels import to_tensor as to_tensor
from i2i.errors import DataError

_RGB = PixelFormat()


def read_image(path: ImageFile) -> Image.Image:
    """Read an image of any mode as upright 8-bit RGB.

    The EXIF orientation is applied, transparent pixels are composited over white, of several pages or frames the first
    is taken, embedded colour profiles are converted to sRGB, and deeper images are reduced to 8 bits.

    Args:
        path: a file, or an entry of an archive; its bytes, not its suffix, say which format it has.

    Returns:
        image: mode RGB, detached from the file.

    Raises:
        UnreadableImage: names the file and what is wrong with it.
    """
    pixels = _RGB.read(path)
    if isinstance(pixels, Image.Image):
        return pixels
    return Image.fromarray(unscale(pixels, 0, 255, np.dtype(np.uint8)))


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
