"""Which files are videos or animated images, found without torch, whose import takes seconds."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from i2i.errors import I2IError

ANIMATIONS = MappingProxyType({".gif": "gif", ".webp": "webp", ".apng": "apng", ".png": "apng"})
"""Suffixes of animated images, and the names of their formats in FFmpeg."""
VIDEOS = MappingProxyType({".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"})
"""Suffixes of videos that are written, and the names of their containers in FFmpeg."""
READABLE = frozenset(VIDEOS) | {
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".wmv"),
}
"""Suffixes of files that are taken for videos."""


def is_clip(path: Path) -> bool:
    """Whether a file is a video by its name, or an image with several frames."""
    return path.suffix.lower() in READABLE or (path.suffix.lower() in ANIMATIONS and _is_animated(path))


def _is_animated(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path, formats=("GIF", "PNG", "WEBP")) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def container_of(path: Path) -> str:
    """Return FFmpeg's name of the container that a file's suffix stands for.

    Raises:
        I2IError: the suffix is of no clip that can be written.
    """
    known = {**VIDEOS, **ANIMATIONS}
    if path.suffix.lower() not in known:
        raise I2IError(f"cannot write {path}: expected a name that ends in one of {', '.join(known)}")
    return known[path.suffix.lower()]
