"""Two unpaired folders of images as one endless, repeatable stream of samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge
from PIL import Image
from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Augmentation
from i2i.core.factory import Factory
from i2i.data.augmentation import Place, all_augmented, augmented
from i2i.data.base import ImageDataset
from i2i.data.cache import ImageCache
from i2i.data.images import UnreadableImage, check_folder, find_images, read_image
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample, draw_flip_crop, eval_transform, flip_crop, resized, side_to_crop
from i2i.errors import DataError

# What the folders of published data sets are called: training, then test; {D} is A or B, {d} is a or b.
_LAYOUTS = (
    ("train{D}", "test{D}"),
    ("train_{d}", "test_{d}"),
    ("train/{D}", "test/{D}"),
    ("train/{d}", "test/{d}"),
    ("{d}", "test_{d}"),
    ("{D}", "test{D}"),
)


class _Pictures(NamedTuple):
    folder: Path
    files: list[Path]
    place: int | None = None
    """Of the first one among the cached; None where images are wanted as they are in their files."""


class Folders(ImageDataset):
    """Two unpaired folders of images, of any layout.

    Each domain visits all its images in a new order each epoch; the smaller one begins its next epoch while the
    larger one is still in its first. What a sample holds depends on the arguments and its number alone, so neither
    the number of workers nor a resumed run changes it.

    Args:
        a, b: the folders of training images, subfolders included; `data.root` may stand for both.
        root: folder that holds `trainA` and `trainB`, and perhaps `testA` and `testB`.
        test_a, test_b: folders of images for previews; without one, the first training images serve.
        size: side of a sample in pixels.
        load_size: side to which an image is resized before the random crop; `size + margin` if not given.
        margin: pixels that the random crop leaves out; 30 at any size, as in the official codes.
        flip: whether half the training images are mirrored left to right.
        resample: Pillow's filter for resizing.
        augment: what else happens to a training image, such as
            `{ type = "kornia.augmentation.ColorJiggle", hue = 0.1 }`.
        augment_on: whether `workers` do that, or the `device` that trains; the draws are the same.
        seed: of order and augmentation, >= 0.
        cache: MiB of memory for resized training images, which are then read from their files once; all workers
            share it. 0 for none.

    Raises:
        DataError: a folder is missing, or holds no image that can be read; names all such folders.
        OptionError: `load_size` is smaller than `size`.
    """

    def __init__(
        self,
        a: Path | None = None,
        b: Path | None = None,
        root: Path | None = None,
        test_a: Path | None = None,
        test_b: Path | None = None,
        size: Annotated[int, Ge(8)] = 256,
        load_size: int | None = None,
        margin: Annotated[int, Ge(0)] = 30,
        flip: bool = True,
        resample: Resample = "bilinear",
        augment: tuple[Factory[Augmentation], ...] = (),
        seed: int = 0,
        cache: Count = 1024,
        augment_on: Place = "workers",
    ) -> None:
        self.augment, self.late = [build() for build in augment], augment_on == "device"
        self.size, self.flip, self.resample, self.seed = size, flip, resample, seed
        self.load_size = side_to_crop(size, load_size, margin)
        folders = _resolve(a, b, root)
        folders |= {name: folder for name, folder in (("test_a", test_a), ("test_b", test_b)) if folder is not None}
        self.unreadable: dict[Path, str] = {}
        """Damaged files met so far in this process, each with what is wrong; only saves decoding them again."""
        found = self._find(folders)
        first, second = (found[domain] for domain in self.domains)
        self._cache = ImageCache(len(first.files) + len(second.files), self.load_size, cache * 2**20)
        self.train = {"a": first._replace(place=0), "b": second._replace(place=len(first.files))}
        self.test = {domain: found.get(f"test_{domain}", found[domain]) for domain in self.domains}

    def __len__(self) -> int:
        """Images of the larger domain, which is what an epoch is; the stream of samples itself has no end."""
        return max(len(images.files) for images in self.train.values())

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0 of the stream; in place of a damaged file comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [3, size, size] in [-1, 1]; "skipped", a line for each damaged file in its way; and
            where `device_transform` is to augment it, "seeds", one of each domain.
        """
        sample: dict[str, object] = {}
        skipped: list[str] = []
        seeds: list[int] = []
        for domain in self.domains:
            count = len(self.train[domain].files)
            epoch, start = divmod(number, count)
            order = epoch_order(self.seed, domain, epoch, count)
            indices = map(int, chain(order[start:], order[:start]))
            index, decoded = next(self._readable(self.train[domain], indices, skipped))
            # A fresh generator for each sample: one that lives on would depend on what this process drew before.
            random = Random(f"{self.seed} {domain} {epoch} {index}")
            image = flip_crop(decoded, draw_flip_crop(random, self.size, self.load_size, self.flip), self.size)
            seeds.append(random.getrandbits(63))
            sample[domain] = image if self.late else augmented(image, self.augment, seeds[-1])
        late = {"seeds": torch.tensor(seeds)} if self.late else {}
        return sample | {"skipped": skipped} | late

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        """Augments a batch on the device where it is.

        Args:
            batch: of samples, without "skipped" and "seeds".
            seeds: [B, 2], those of the samples.
        """
        made = {
            domain: all_augmented(batch[domain], self.augment, seeds[:, index])
            for index, domain in enumerate(self.domains)
        }
        return batch | made

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first images of each domain's test folder, or else of its training folder, neither flipped nor cropped.

        Args:
            count: how many of each domain, >= 1.

        Returns:
            batch: for each domain [n, 3, size, size] in [-1, 1]; n is `count`, or less where there are fewer images.
        """
        batch: dict[str, Tensor] = {}
        for domain in self.domains:
            images = self.test[domain]
            readable = islice(self._readable(images, range(len(images.files)), []), count)
            batch[domain] = torch.stack([eval_transform(image, self.size, self.resample) for _, image in readable])
        return batch

    def _find(self, folders: dict[str, Path]) -> dict[str, _Pictures]:
        found: dict[str, _Pictures] = {}
        problems: list[str] = []
        for name, folder in folders.items():
            try:
                found[name] = images = _Pictures(folder, find_images(folder))
                # Here and not in a worker process, whose errors torch wraps in a traceback.
                next(self._readable(images, range(len(images.files)), []))
            except DataError as error:
                problems.append(str(error))
        if problems:
            raise DataError("\n".join(problems))
        return found

    def _read(self, images: _Pictures, index: int) -> Image.Image:
        if images.place is None:
            return read_image(images.files[index])
        kept = self._cache.get(images.place + index)
        if kept is None:
            kept = resized(read_image(images.files[index]), self.load_size, self.resample)
            self._cache.put(images.place + index, kept)
        return kept

    def _readable(
        self, images: _Pictures, indices: Iterable[int], skipped: list[str]
    ) -> Iterator[tuple[int, Image.Image]]:
        """Each readable image at `indices`; raises if there is none, and tells `skipped` of the others on the way."""
        none_yet = True
        for index in indices:
            path = images.files[index]
            if path not in self.unreadable:
                try:
                    image = self._read(images, index)
                except UnreadableImage as error:
                    self.unreadable[path] = str(error)
                else:
                    none_yet = False
                    yield index, image
                    continue
            skipped.append(self.unreadable[path])
        if none_yet:
            reasons = "; ".join(self.unreadable[path] for path in images.files[:3])
            raise DataError(f"none of the {len(images.files)} images in {images.folder} can be read: {reasons}")


def _resolve(a: Path | None, b: Path | None, root: Path | None) -> dict[str, Path]:
    """The folders "a" and "b", and of "test_a" and "test_b" those that `root` has."""
    wanted = "give data.a and data.b, a folder each, or data.root, a folder that holds trainA and trainB"
    given = [f"data.{name}" for name, folder in (("a", a), ("b", b), ("root", root)) if folder is not None]
    if a is not None and b is not None and root is None:
        return {"a": a, "b": b}
    if root is None or len(given) > 1:
        raise DataError(f"expected two folders of training images, got {' and '.join(given) or 'none'}; {wanted}")
    check_folder(root)
    for train, test in _LAYOUTS:
        folders = {domain: root / train.format(d=domain, D=domain.upper()) for domain in Folders.domains}
        if all(folder.is_dir() for folder in folders.values()):
            tests = {f"test_{domain}": root / test.format(d=domain, D=domain.upper()) for domain in folders}
            return folders | {name: folder for name, folder in tests.items() if folder.is_dir()}
    held = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    raise DataError(f"data.root: expected {root} to hold trainA and trainB, got {held}; {wanted}")
