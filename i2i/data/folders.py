"""Two unpaired folders of images."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Augmentation
from i2i.core.factory import Factory
from i2i.data.augmentation import AugmentOn, augment_batch, augment_image
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path, find_images
from i2i.data.locations import check_folder, not_given
from i2i.data.transforms import Resample, draw_flip_crop, eval_transform, flip_crop, side_to_crop
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


class Folders(ImageDataset):
    """Two unpaired folders of images, in any of the usual layouts.

    Each domain visits all its images in a new order in each epoch; the smaller one begins its next epoch while the
    larger one is still in its first. A sample depends on the arguments and its number alone, so neither the number of
    workers nor a resumed run changes it.

    Args:
        a: folder of domain a's training images, subfolders included; `root` may stand for `a` and `b`. Of a folder
            that holds `train`, and perhaps `test` or `val`, these are the training and the test images.
        b: folder of domain b's training images.
        root: folder that holds `trainA` and `trainB`, and perhaps `testA` and `testB`.
        test_a: folder of a's images for previews; without it, the first training images are shown.
        test_b: folder of b's images for previews.
        size: height and width of a sample in pixels.
        load_size: side to which an image is resized before the random crop; `size + margin` if not given.
        margin: pixels that the random crop leaves out; 30 at any size, as in the official implementations.
        flip: whether half of the training images are mirrored left to right.
        resample: Pillow's filter for resizing.
        augment: further augmentation of training images, such as
            `{ type = "kornia.augmentation.ColorJiggle", hue = 0.1 }`.
        seed: of order and augmentation, >= 0.
        cache: MiB of memory for resized training images, which are then read from their files once; all workers
            share it. 0 for none.
        augment_on: whether `augment` runs in the `workers` or on the `device` that trains; the random numbers are the
            same.

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
        augment_on: AugmentOn = "workers",
    ) -> None:
        self.augment, self.augment_on = [build() for build in augment], augment_on
        self.size, self.flip, self.resample, self.seed = size, flip, resample, seed
        self.load_size = side_to_crop(size, load_size, margin)
        folders = _split(_resolve(as_path(a), as_path(b), as_path(root)))
        given_tests = {"test_a": as_path(test_a), "test_b": as_path(test_b)}
        folders |= {name: folder for name, folder in given_tests.items() if folder is not None}
        self.folders = folders
        files = _open(folders)
        self.test = {domain: files.get(f"test_{domain}", files[domain]) for domain in self.domains}
        total = sum(len(files[domain]) for domain in self.domains)
        self.train = {
            domain: files[domain].resized(self.load_size, resample, cache * 2**20 * len(files[domain]) // total)
            for domain in self.domains
        }

    def __len__(self) -> int:
        """Images of the larger domain: the samples of one epoch."""
        return max(map(len, self.train.values()))

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0; in place of a damaged file comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [3, size, size] in [-1, 1]; "skipped", a line for each damaged file on the way; and
            with `augment_on = "device"`, "seeds", one for each domain.
        """
        sample: dict[str, object] = {}
        skipped: list[str] = []
        seeds: list[int] = []
        for domain in self.domains:
            epoch, index, (decoded,) = self.train[domain].draw(number, self.seed, domain, skipped)
            # A fresh generator for each sample: one that lives on would depend on what this process drew before.
            random = Random(f"{self.seed} {domain} {epoch} {index}")
            image = flip_crop(decoded, draw_flip_crop(random, self.size, self.load_size, self.flip), self.size)
            seeds.append(random.getrandbits(63))
            sample[domain] = image if self.augment_on == "device" else augment_image(image, self.augment, seeds[-1])
        sample["skipped"] = skipped
        return sample | {"seeds": torch.tensor(seeds)} if self.augment_on == "device" else sample

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        """Augments a batch on the device where it is.

        Args:
            batch: of samples, without "skipped" and "seeds".
            seeds: [B, 2], those of the samples.

        Returns:
            batch: with its images augmented.
        """
        return batch | {
            domain: augment_batch(batch[domain], self.augment, seeds[:, index])
            for index, domain in enumerate(self.domains)
        }

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first images of each domain's test folder, or else of its training folder, neither flipped nor cropped.

        Args:
            count: how many of each domain, >= 1.

        Returns:
            batch: for each domain [n, 3, size, size] in [-1, 1]; n is `count`, or less where there are fewer images.
        """
        batch: dict[str, Tensor] = {}
        for domain, images in self.test.items():
            readable = islice(images.readable(range(len(images)), []), count)
            batch[domain] = torch.stack([eval_transform(image, self.size, self.resample) for _, (image,) in readable])
        return batch


def _open(folders: dict[str, Path]) -> dict[str, ImageFiles]:
    """The images of each folder; raises all problems at once."""
    files: dict[str, ImageFiles] = {}
    problems: list[str] = []
    for name, folder in folders.items():
        try:
            files[name] = ImageFiles([(file,) for file in find_images(folder)], str(folder))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return files


def _split(folders: dict[str, Path]) -> dict[str, Path]:
    """Replaces a folder that is divided into training and test images by its parts: no test image is trained on.

    Raises:
        DataError: a folder holds test images and no folder `train`.
    """
    parts = dict(folders)
    for domain in Folders.domains:
        folder = folders[domain]
        test = next((folder / name for name in ("test", "val", "valid") if (folder / name).is_dir()), None)
        if (folder / "train").is_dir():
            parts[domain] = folder / "train"
            if test is not None:
                parts.setdefault(f"test_{domain}", test)
        elif test is not None:
            raise DataError(
                f"{folder} holds a folder {test.name!r}, whose images would be trained on; put the training images "
                f"into a folder 'train' next to it, or give data.{domain} and data.test_{domain}"
            )
    return parts


def _resolve(a: Path | None, b: Path | None, root: Path | None) -> dict[str, Path]:
    """The folders "a" and "b", and of "test_a" and "test_b" those that `root` has."""
    given = [f"data.{name}" for name, folder in (("a", a), ("b", b), ("root", root)) if folder is not None]
    if a is not None and b is not None and root is None:
        return {"a": a, "b": b}
    if root is None or len(given) > 1:
        raise not_given("folders", given)
    check_folder(root)
    for train, test in _LAYOUTS:
        folders = {domain: root / train.format(d=domain, D=domain.upper()) for domain in Folders.domains}
        if all(folder.is_dir() for folder in folders.values()):
            tests = {f"test_{domain}": root / test.format(d=domain, D=domain.upper()) for domain in folders}
            return folders | {name: folder for name, folder in tests.items() if folder.is_dir()}
    entries = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    raise DataError(
        f"data.root: expected {root} to hold trainA and trainB, got {entries}; give data.a and data.b, a folder each, "
        f"or data.root, a folder that holds trainA and trainB"
    )
