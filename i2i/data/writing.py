"""Images are written whole or not at all, with notes of what made them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

NOTHING: Mapping[str, str] = MappingProxyType({})


def write_image(image: Image.Image, target: Path, notes: Mapping[str, str] = NOTHING) -> None:
    """Writes an image beside its place and renames it; folders on the way are made.

    Args:
        target: its ending says the format.
        notes: become text chunks of a PNG and the comment of a JPEG; other formats have no place for them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part{target.suffix}")
    more: dict[str, Any] = {}
    if notes and target.suffix.lower() == ".png":
        more["pnginfo"] = text = PngInfo()
        for name, value in notes.items():
            text.add_itxt(name, value)
    elif notes and target.suffix.lower() in (".jpg", ".jpeg"):
        more["comment"] = "; ".join(f"{name}: {value}" for name, value in notes.items()).encode()
    try:
        image.save(beside, quality=95, **more)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
