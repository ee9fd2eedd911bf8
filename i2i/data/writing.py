"""Writes images completely or not at all, with metadata about how they were made."""

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
    """Writes an image to a temporary file next to `target` and renames it; missing folders are created.

    Args:
        image: of a mode that the format can hold.
        target: its suffix says the format.
        notes: text by name, which becomes text chunks of a PNG or the comment of a JPEG; other formats drop it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part{target.suffix}")
    options: dict[str, Any] = {}
    if notes and target.suffix.lower() == ".png":
        options["pnginfo"] = text = PngInfo()
        for name, value in notes.items():
            text.add_itxt(name, value)
    elif notes and target.suffix.lower() in (".jpg", ".jpeg"):
        options["comment"] = "; ".join(f"{name}: {value}" for name, value in notes.items()).encode()
    try:
        image.save(temporary, quality=95, **options)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
