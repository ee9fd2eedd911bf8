"""Items of one or more image files each, read by index, with damaged ones passed over and resized ones kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from PIL import Image

from i2i.data.cache import ImageCache
from i2i.data.images import UnreadableImage, read_image
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample, resized
from i2i.errors import DataError

Images = tuple[Image.Image, ...]


def read_all(files: Sequence[Path]) -> Images:
    """Reads each file as an upright 8-bit RGB image."""
    return tuple(read_image(file) for file in files)


class ImageFiles:
    """Items of one or more image files each.

    Args:
        items: the files of each item.
        where: the folder or folders that they are in, for messages.
        read: from an item's files to its images.

    Raises:
        DataError: no item can be read.
    """

    def __init__(
        self,
        items: Sequence[tuple[Path, ...]],
        where: str,
        read: Callable[[Sequence[Path]], Images] = read_all,
    ) -> None:
        self.items, self.where = list(items), where
        self.damaged: dict[Path, str] = {}
        """Files of this process that could not be read, each with the reason; saves trying them again."""
        self._read = read
        self._side = 0
        self._resample: Resample = "bilinear"
        self._cache: ImageCache | None = None
        # Read here and not first in a worker process, whose errors torch wraps in a traceback.
        _, images = next(self.readable(range(len(self.items)), []))
        self.images_per_item = len(images)

    def __len__(self) -> int:
        return len(self.items)

    def resized(self, side: int, resample: Resample, limit: int) -> ImageFiles:
        """The same items as squares, kept in memory once they were read.

        Args:
            side: to which images are resized, in pixels.
            resample: Pillow's filter.
            limit: bytes of memory at most.
        """
        files = copy.copy(self)
        files._side, files._resample = side, resample
        files._cache = ImageCache(len(self) * self.images_per_item, side, limit)
        return files

    @property
    def kept(self) -> int:
        """How many images the memory has room for."""
        return self._cache.places if self._cache is not None else 0

    def draw(self, number: int, seed: int, name: str, skipped: list[str]) -> tuple[int, int, Images]:
        """Item `number` of an endless order that visits all items in each epoch.

        Args:
            number: >= 0.
            seed: of the order, >= 0.
            name: of the order; each name has its own.
            skipped: gets a line for each damaged file; the epoch's next item takes its place.

        Returns:
            epoch: how many times all items have been visited before.
            index: of the item among all.
            images: of the item.

        Raises:
            DataError: no item can be read.
        """
        epoch, start = divmod(number, len(self))
        order = epoch_order(seed, name, epoch, len(self))
        indices = map(int, chain(order[start:], order[:start]))
        index, images = next(self.readable(indices, skipped))
        return epoch, index, images

    def readable(self, indices: Iterable[int], skipped: list[str]) -> Iterator[tuple[int, Images]]:
        """Each readable item among `indices`, with its index.

        Args:
            indices: of items.
            skipped: gets a line for each damaged file on the way.

        Raises:
            DataError: none of them can be read.
        """
        none_yet = True
        for index in indices:
            reason = next((self.damaged[file] for file in self.items[index] if file in self.damaged), None)
            if reason is None:
                try:
                    images = self[index]
                except UnreadableImage as error:
                    reason = self.damaged[error.path] = str(error)
                else:
                    none_yet = False
                    yield index, images
                    continue
            skipped.append(reason)
        if none_yet:
            reasons = "; ".join(list(self.damaged.values())[:3])
            raise DataError(f"none of the {len(self)} images in {self.where} can be read: {reasons}")

    def __getitem__(self, index: int) -> Images:
        """The images of an item.

        Raises:
            UnreadableImage: one of its files is damaged.
        """
        if self._cache is None:
            return self._read(self.items[index])
        places = range(index * self.images_per_item, (index + 1) * self.images_per_item)
        kept = [image for image in map(self._cache.get, places) if image is not None]
        if len(kept) == self.images_per_item:
            return tuple(kept)
        images = tuple(resized(image, self._side, self._resample) for image in self._read(self.items[index]))
        for place, image in zip(places, images, strict=True):
            self._cache.put(place, image)
        return images
