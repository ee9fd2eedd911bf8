"""Decoded and resized images kept in memory, once for all worker processes."""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import get_worker_info

from i2i.data.pixels import Pixels

_HEADER = struct.Struct("<IIIII")
"""Checksum of the rest and of the pixels, place in `_TYPES`, height, width, channels; zeros where there is no image."""
_TYPES = ("RGB", "L", "|u1", "<u2", "<i4", "<i8", "<f4")
"""Modes of Pillow images, and types of arrays."""


class ImageCache:
    """Images by index, in memory that forked processes share.

    Nothing is ever evicted: each epoch visits every image once, so the least recently used one is needed next. Where
    not all fit, the first ones are kept. An image counts only with the right checksum, so one that another process is
    writing at this moment, or has died while writing, is not returned.

    Args:
        count: how many images there are.
        image_bytes: bytes of an image; larger ones are not kept.
        limit: bytes of memory at most; the system hands them out as images come.
    """

    def __init__(self, count: int, image_bytes: int, limit: int) -> None:
        self._bytes_per_image = _HEADER.size + image_bytes
        self.places = min(count, limit // self._bytes_per_image)
        self._memory = self._allocate()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_memory": None}  # a spawned worker shares nothing and keeps its own images

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        worker = get_worker_info()
        self.places //= worker.num_workers if worker is not None else 1
        self._memory = self._allocate()

    def get(self, index: int) -> Pixels | None:
        """The image, if it is kept."""
        if self._memory is None or index >= self.places:
            return None
        start = index * self._bytes_per_image
        header = self._memory[start : start + _HEADER.size]
        checksum, type_, height, width, channels = _HEADER.unpack(header)
        if not any(header) or type_ >= len(_TYPES):
            return None
        size = _bytes(type_, height, width, channels)
        pixels = self._memory[start + _HEADER.size : start + min(_HEADER.size + size, self._bytes_per_image)]
        if checksum != zlib.crc32(pixels, zlib.crc32(header[4:])):
            return None
        name = _TYPES[type_]
        if name in ("RGB", "L"):
            return Image.frombuffer(name, (width, height), pixels, "raw", name, 0, 1)
        return np.frombuffer(pixels, np.dtype(name)).reshape(height, width, channels)

    def put(self, index: int, image: Pixels) -> None:
        """Keeps an image, if there is room for it."""
        if self._memory is None or index >= self.places:
            return
        if isinstance(image, Image.Image):
            name, shape = image.mode, (image.height, image.width, len(image.getbands()))
        else:
            name, shape = image.dtype.str, image.shape
        if name not in _TYPES:
            return
        start, pixels = index * self._bytes_per_image, image.tobytes()
        if _HEADER.size + len(pixels) > self._bytes_per_image:
            return
        rest = _HEADER.pack(0, _TYPES.index(name), *shape)[4:]
        checksum = zlib.crc32(pixels, zlib.crc32(rest)).to_bytes(4, "little")
        self._memory[start + _HEADER.size : start + _HEADER.size + len(pixels)] = pixels
        self._memory[start : start + _HEADER.size] = checksum + rest

    def _allocate(self) -> mmap.mmap | None:
        try:
            return mmap.mmap(-1, self.places * self._bytes_per_image) if self.places else None
        except OSError:
            return None  # a system that promises no more memory than it has; images are then decoded again


def bytes_of(image: Pixels) -> int:
    """Return the size of an image in memory."""
    if isinstance(image, Image.Image):
        return image.width * image.height * len(image.getbands())
    return int(image.nbytes)


def _bytes(type_: int, height: int, width: int, channels: int) -> int:
    name = _TYPES[type_]
    return height * width * channels * (1 if name in ("RGB", "L") else np.dtype(name).itemsize)
