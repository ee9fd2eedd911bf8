"""Decoded and resized images kept in memory, once for all worker processes."""

from __future__ import annotations

import mmap
import zlib
from typing import Any

from PIL import Image
from torch.utils.data import get_worker_info

_CHECKSUM_BYTES = 4
"""They stand before each image, and are zeros where there is none yet."""


class ImageCache:
    """Square RGB images by index, in memory that forked processes share.

    Nothing is ever evicted: each epoch visits every image once, so the least recently used one is needed next. Where
    not all fit, the first ones are kept. An image counts only with the right checksum, so one that another process is
    writing at this moment, or has died while writing, is not returned.

    Args:
        count: how many images there are.
        side: height and width of each in pixels.
        limit: bytes of memory at most; the system hands them out as images come.
    """

    def __init__(self, count: int, side: int, limit: int) -> None:
        self.side = side
        self._bytes_per_image = _CHECKSUM_BYTES + 3 * side * side
        self.places = min(count, limit // self._bytes_per_image)
        self._memory = self._allocate()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_memory": None}  # a spawned worker shares nothing and keeps its own images

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        worker = get_worker_info()
        self.places //= worker.num_workers if worker is not None else 1
        self._memory = self._allocate()

    def get(self, index: int) -> Image.Image | None:
        """The image [side, side], if it is kept."""
        if self._memory is None or index >= self.places:
            return None
        start = index * self._bytes_per_image
        checksum = self._memory[start : start + _CHECKSUM_BYTES]
        pixels = self._memory[start + _CHECKSUM_BYTES : start + self._bytes_per_image]
        if not any(checksum) or checksum != _checksum(pixels):
            return None
        return Image.frombuffer("RGB", (self.side, self.side), pixels, "raw", "RGB", 0, 1)

    def put(self, index: int, image: Image.Image) -> None:
        """Keeps an image [side, side], if there is room for it."""
        if self._memory is None or index >= self.places:
            return
        start, pixels = index * self._bytes_per_image, image.tobytes()
        self._memory[start + _CHECKSUM_BYTES : start + self._bytes_per_image] = pixels
        self._memory[start : start + _CHECKSUM_BYTES] = _checksum(pixels)

    def _allocate(self) -> mmap.mmap | None:
        try:
            return mmap.mmap(-1, self.places * self._bytes_per_image) if self.places else None
        except OSError:
            return None  # a system that promises no more memory than it has; images are then decoded again


def _checksum(pixels: bytes) -> bytes:
    return zlib.crc32(pixels).to_bytes(_CHECKSUM_BYTES, "little")
