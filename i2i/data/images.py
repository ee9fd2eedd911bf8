"""Find image files, and read them as RGB."""

from __future__ import annotations

from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from i2i.data.decoding import SUFFIXES as SUFFIXES
from i2i.data.decoding import ImageFile
from i2i.data.decoding import UnreadableImage as UnreadableImage
from i2i.data.decoding import pixel_limit as pixel_limit
from i2i.data.listing import list_images
from i2i.data.pixels import PixelFormat, unscale
from i2i.data.pixels import to_image as to_image
from i2i.data.pixels import to_tensor as to_tensor
from i2i.data.sources.locate import Place, locate

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
def as_path(path: Place | str) -> Place: ...
@overload
def as_path(path: Place | str | None) -> Place | None: ...
def as_path(path: Place | str | None) -> Place | None:
    """The folder or file that an option of type `Location` names: of the system, or in an archive, a table or a URL.

    Args:
        path: as it was given, see `i2i.data.sources.locate.locate`; None where it was not.

    Returns:
        place: a `Path`, with `~` expanded, or a `SourcePath`, which has the methods of one that data sets use.

    Raises:
        DataError: an archive, table or URL cannot be read.
    """
    return None if path is None else locate(path)


@overload
def find_images(folder: Path) -> list[Path]: ...
@overload
def find_images(folder: Place) -> list[Place]: ...
def find_images(folder: Place) -> list[Place] | list[Path]:
    """All images in a folder and its subfolders, in an order that is the same on every system; see `list_images`.

    Args:
        folder: where to look.

    Returns:
        paths: `folder / ...`, sorted by code points of the relative path in NFC.

    Raises:
        DataError: the folder is missing, is a file, cannot be listed, or holds no image.
    """
    return list_images(folder).images
