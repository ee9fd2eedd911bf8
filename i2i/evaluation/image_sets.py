"""Sets of images that are compared: files of a folder or images in memory, each with a hash of its content."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from i2i.data.images import find_images, read_image, to_image

Pixels = NDArray[np.uint8]
LOSSY = {".jpg", ".jpeg", ".webp", ".avif", ".jp2"}
"""Formats that usually lose information; their artefacts count as differences between sets."""


class ImageSet:
    """An ordered set of 8-bit RGB images, read when they are needed.

    Args:
        name: what the set is called in messages and reports, such as its folder.
        read: one function for each image, which returns its pixels [H, W, 3].
        digest: one function for each image, which returns a hash of its content.
        suffixes: file name endings of the images; empty for images in memory.
        names: name of each image; its number when empty.
    """

    def __init__(
        self,
        name: str,
        read: Sequence[Callable[[], Pixels]],
        digest: Sequence[Callable[[], str]],
        suffixes: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> None:
        self.name, self._read, self._digest, self.suffixes = name, read, digest, suffixes
        self.names = list(names) or [f"{index:05d}" for index in range(len(read))]

    def __len__(self) -> int:
        return len(self._read)

    def __getitem__(self, index: int) -> Pixels:
        return self._read[index]()

    @cached_property
    def digests(self) -> list[str]:
        """Hash of each image: of its file, or of its pixels and shape in memory."""
        return [digest() for digest in self._digest]

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole set, which depends on the order."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()

    @property
    def lossy(self) -> list[str]:
        """Lossy formats among the files, with their numbers."""
        counts = Counter(suffix for suffix in self.suffixes if suffix in LOSSY)
        return [f"{count} {suffix}" for suffix, count in sorted(counts.items())]

    def subset(self, indices: Sequence[int], name: str) -> ImageSet:
        """Return some of the images as a set."""
        pick = [int(index) for index in indices]
        part = ImageSet(
            name,
            [self._read[index] for index in pick],
            [self._digest[index] for index in pick],
            [self.suffixes[index] for index in pick] if self.suffixes else (),
            [self.names[index] for index in pick],
        )
        if "digests" in self.__dict__:
            part.__dict__["digests"] = [self.digests[index] for index in pick]
        return part


def from_folder(folder: Path, limit: int | None = None) -> ImageSet:
    """Return the images of a folder and its subfolders in the order of their names.

    Args:
        folder: the folder.
        limit: number of images, the first by name; all when None.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    files = find_images(folder)[:limit]
    return ImageSet(
        str(folder),
        [partial(_read_file, path) for path in files],
        [partial(_file_digest, path) for path in files],
        [path.suffix.lower() for path in files],
        [path.relative_to(folder).as_posix() for path in files],
    )


def from_arrays(arrays: Sequence[Pixels], name: str, names: Sequence[str] = ()) -> ImageSet:
    """Return images in memory as a set.

    Args:
        arrays: [H, W, 3] uint8 each.
        name: name of the set.
        names: name of each image; its number when empty.
    """
    return ImageSet(
        name,
        [partial(np.asarray, array) for array in arrays],
        [partial(_array_digest, array) for array in arrays],
        names=names,
    )


def to_pixels(images: Tensor) -> list[Pixels]:
    """Convert images [n, 3, H, W] in [-1, 1] to 8 bits, as if they were written as PNG files."""
    return [np.asarray(to_image(image)) for image in images]


def _read_file(path: Path) -> Pixels:
    return np.array(read_image(path))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _array_digest(array: Pixels) -> str:
    header = f"array {array.shape} ".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()
