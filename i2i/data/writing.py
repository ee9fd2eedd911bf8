"""Write images completely or not at all, in the depth that they have, with metadata."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from i2i.data import arrays
from i2i.errors import DataError

NOTHING: Mapping[str, str] = MappingProxyType({})


class Ability(NamedTuple):
    """What a file format can hold.

    Args:
        name: of the format, for messages.
        deep: the types of samples with more than 8 bits that it holds; None for all.
        channels: the numbers of channels that it holds, opacity included; empty for all.
        alpha: whether it holds opacity.
        profile: whether it holds a colour profile.
        exif: whether it holds EXIF of 8-bit images.
        pages: whether it holds several pages.
    """

    name: str
    deep: tuple[str, ...] | None = ()
    channels: tuple[int, ...] = (1, 3)
    alpha: bool = False
    profile: bool = True
    exif: bool = True
    pages: bool = False


ABILITIES: Mapping[str, Ability] = MappingProxyType(
    {
        ".png": Ability("PNG", ("uint16",), (1, 2, 3, 4), True),
        ".jpg": Ability("JPEG"),
        ".jpeg": Ability("JPEG"),
        ".webp": Ability("WebP", channels=(1, 3, 4), alpha=True),
        ".bmp": Ability("BMP", profile=False, exif=False),
        ".tif": Ability("TIFF", None, (), True, pages=True),
        ".tiff": Ability("TIFF", None, (), True, pages=True),
        ".npy": Ability("NumPy", None, (), profile=False, exif=False),
        ".npz": Ability("NumPy", None, (), profile=False, exif=False),
    }
)
"""What is written, by suffix."""


class Metadata(NamedTuple):
    """What an image file holds next to its pixels.

    Args:
        icc_profile: colour profile.
        exif: EXIF block without orientation, for pixels are upright.
        dpi: pixels per inch, across and down.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def write_image(
    image: Image.Image, target: Path, notes: Mapping[str, str] = NOTHING, metadata: Metadata | None = None
) -> None:
    """Write an image to a temporary file next to `target` and rename it; missing folders are created.

    Args:
        image: of a mode that the format can hold.
        target: its suffix says the format.
        notes: text by name, which becomes text chunks of a PNG or the comment of a JPEG; other formats drop it.
        metadata: of the file.
    """
    suffix = target.suffix.lower()
    options: dict[str, Any] = {
        name: value for name, value in (metadata or Metadata())._asdict().items() if value is not None
    }
    if notes and suffix == ".png":
        options["pnginfo"] = text = PngInfo()
        for name, value in notes.items():
            text.add_itxt(name, value)
    elif notes and suffix in (".jpg", ".jpeg"):
        options["comment"] = "; ".join(f"{name}: {value}" for name, value in notes.items()).encode()
    if suffix in (".jpg", ".jpeg"):
        options["subsampling"] = 0  # Pillow's default halves the resolution of colours
    write_whole(target, lambda temporary: image.save(temporary, quality=95, **options))


def write_arrays(
    pages: Sequence[NDArray[Any]],
    target: Path,
    notes: Mapping[str, str] = NOTHING,
    metadata: Metadata | None = None,
    alpha: bool = False,
) -> None:
    """Write images [H, W, C] of any type as the pages of a file, as `write_image` does; TIFF alone holds several.

    Args:
        pages: images of one type.
        target: `.png`, `.tif`, `.tiff`, `.npy` or `.npz`.
        notes: text by name: chunks of a PNG, or the description of a TIFF.
        metadata: of the file; EXIF is not written.
        alpha: whether the last channel is opacity.

    Raises:
        DataError: the format cannot hold them.
    """
    suffix, profile = target.suffix.lower(), (metadata or Metadata()).icc_profile
    first = pages[0]

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            if suffix in (".tif", ".tiff"):
                text = "; ".join(f"{name}: {value}" for name, value in notes.items())
                arrays.write_tiff(file, list(pages), profile, alpha, text)
            elif suffix == ".png":
                arrays.check_writable(first)
                arrays.write_png(file, first, profile, notes)
            elif suffix in (".npy", ".npz"):
                values = first[..., 0] if first.shape[2] == 1 else first
                np.save(file, values) if suffix == ".npy" else np.savez_compressed(file, values)
            else:
                raise DataError(f"cannot write {first.dtype} with {first.shape[2]} channels as {suffix}")

    write_whole(target, write)


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name and rename it, so that there is never half a file; folders are created.

    Args:
        target: the file.
        write: takes the temporary path, which has the target's suffix.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part{target.suffix}")
    try:
        write(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def without_orientation(exif: bytes) -> bytes | None:
    """Return an EXIF block without its orientation; None for one that is damaged or empty."""
    block = Image.Exif()
    try:
        block.load(exif)
        block.pop(arrays.ORIENTATION, None)
        return block.tobytes() if len(block) else None
    except Exception:  # of damaged metadata readers raise nearly anything
        return None
