"""Decoded and resized images kept in memory, once for all worker processes."""

from __future__ import annotations

import mmap
import zlib
from typing import Any

from PIL import Image
from torch.utils.data import get_worker_info

_MARK = 4
"""Bytes of an image's checksum, which stand before it; zeros where there is none yet."""


class ImageCache:
    """Square RGB images by number, in memory that forked processes share.

    Nothing is ever thrown out: in an epoch every image comes once, so those that came last are the ones that are
    needed last. Where not all fit, the first ones are kept. An image counts only with the right checksum, so one that
    another process is just writing, or has died in writing, is not seen.

    Args:
        count: how many images there are.
        side: of each in pixels.
        limit: bytes of memory at most; it is taken image by image.
    """

    def __init__(self, count: int, side: int, limit: int) -> None:
        self.side = side
        self._step = _MARK + 3 * side * side
        self.places = min(count, limit // self._step)
        self._memory = self._made()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_memory": None}  # a spawned worker shares nothing and keeps its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        worker = get_worker_info()
        self.places //= worker.num_workers if worker is not None else 1
        self._memory = self._made()

    def get(self, number: int) -> Image.Image | None:
        """The image, if it is here."""
        if self._memory is None or number >= self.places:
            return None
        start = number * self._step
        mark, pixels = (self._memory[start : start + _MARK], self._memory[start + _MARK : start + self._step])
        if not any(mark) or mark != _checksum(pixels):
            return None
        return Image.frombuffer("RGB", (self.side, self.side), pixels, "raw", "RGB", 0, 1)

    def put(self, number: int, image: Image.Image) -> None:
        """Keeps an image [side, side] if there is a place for it."""
        if self._memory is None or number >= self.places:
            return
        start, pixels = number * self._step, image.tobytes()
        self._memory[start + _MARK : start + self._step] = pixels
        self._memory[start : start + _MARK] = _checksum(pixels)

    def _made(self) -> mmap.mmap | None:
        try:
            return mmap.mmap(-1, self.places * self._step) if self.places else None
        except OSError:
            return None  # a system that promises no more memory than it has; images are read anew then


def _checksum(pixels: bytes) -> bytes:
    return zlib.crc32(pixels).to_bytes(_MARK, "little")
