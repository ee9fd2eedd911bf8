"""Items of one or more image files each, read by index, with damaged ones passed over and resized ones kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

from i2i.data.cache import ImageCache, bytes_of
from i2i.data.decoding import ImageFile, UnreadableImage
from i2i.data.pixels import PixelFormat, Pixels
from i2i.data.sampler import epoch_order
from i2i.data.transforms import SampleTransform
from i2i.errors import DataError

Images = tuple[Pixels, ...]
Read = Callable[[Sequence[ImageFile]], Images]
"""Reads the files of an item."""


def read_as(form: PixelFormat, files: Sequence[ImageFile]) -> Images:
    """Read each file as an image of the same format."""
    return tuple(map(form.read, files))


READ_RGB = partial(read_as, PixelFormat())


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
        items: Sequence[tuple[ImageFile, ...]],
        where: str,
        read: Read = READ_RGB,
    ) -> None:
        self.items, self.where = list(items), where
        self.damaged: dict[ImageFile, str] = {}
        """Files of this process that could not be read, each with the reason; saves trying them again."""
        self._read = read
        self._transform: SampleTransform | None = None
        self._nearest: tuple[bool, ...] = ()
        self._cache: ImageCache | None = None
        self._last: tuple[int, Images] | None = None
        self._keeps_last = False
        # Read here and not first in a worker process, whose errors torch wraps in a traceback.
        _, images = next(self.readable(range(len(self.items)), []))
        self.images_per_item = len(images)

    def __len__(self) -> int:
        return len(self.items)

    def resized(
        self,
        transform: SampleTransform,
        limit: int,
        nearest: Sequence[bool] | None = None,
        patches: int = 1,
    ) -> ImageFiles:
        """The same items after the part of a transform that is not random, kept in memory once they were read.

        Args:
            transform: applied to each image.
            limit: bytes of memory at most.
            nearest: for each image of an item, whether its values must not be mixed; none of them by default.
            patches: how many consecutive samples are drawn from one item; if several, its images are kept for them.

        Raises:
            DataError: no item can be read and resized.
        """
        files = copy.copy(self)
        files._transform, files._keeps_last = transform, patches > 1
        files._nearest = tuple(nearest or [False] * self.images_per_item)
        _, images = next(files.readable(range(len(self)), []))
        # Images that keep their aspect differ in size; room for twice the first one's holds most of them.
        largest = max(map(bytes_of, images)) * (2 if transform.varies else 1)
        files._cache = ImageCache(len(self) * self.images_per_item, largest, limit)
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
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        images = self._kept(index)
        if images is None:
            images = self._read(self.items[index])
            if self._transform is not None:
                images = self._resized(self.items[index], images, self._transform)
            if self._cache is not None:
                for place, image in enumerate(images, index * self.images_per_item):
                    self._cache.put(place, image)
        self._last = (index, images) if self._keeps_last else None
        return images

    def _kept(self, index: int) -> Images | None:
        if self._cache is None:
            return None
        places = range(index * self.images_per_item, (index + 1) * self.images_per_item)
        kept = [image for image in map(self._cache.get, places) if image is not None]
        return tuple(kept) if len(kept) == self.images_per_item else None

    def _resized(self, files: Sequence[ImageFile], images: Images, transform: SampleTransform) -> Images:
        try:
            return tuple(map(transform.resized, images, self._nearest))
        except UnreadableImage:
            raise
        except DataError as error:  # of an image that is too small, or too long and narrow
            raise UnreadableImage(files[0], str(error)) from error
