"""Folders of images of any number of domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from random import Random
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from i2i.core.bounds import Positive
from i2i.data.decoding import ImageFile, Page
from i2i.data.files import ImageFiles, Images
from i2i.data.held_out import HeldOut, Share, split_share
from i2i.data.images import as_path
from i2i.data.labelled import LabelledImages
from i2i.data.listing import list_images
from i2i.data.locations import Location, check_folder, not_given
from i2i.data.pixels import PixelFormat, Pixels, crop, mirrored, size_of, to_tensor
from i2i.data.plausibility import MIN_IMAGES, find_overlap, summary_lines, too_few
from i2i.data.sources.locate import Place
from i2i.data.transforms import Resample, SampleSize, eval_transform, resized
from i2i.errors import DataError

Probability = Annotated[float, Field(ge=0, le=1)]
LAYOUTS = (
    ("{name}/train", ("{name}/test", "{name}/val", "{name}/valid")),
    ("train/{name}", ("test/{name}", "val/{name}", "valid/{name}")),
    ("train_{name}", ("test_{name}", "val_{name}")),
    ("train{name}", ("test{name}", "val{name}")),
    ("{name}", ("test_{name}",)),
)
"""Where a root holds the training images of each domain, and its test images."""
AREA, RATIO = (0.8, 1.0), (0.9, 1.1)
"""Bounds of a random crop's share of the area, and of its width by its height, as in StarGAN v2."""


class Domains(LabelledImages):
    """A folder of images for each of any number of domains, unpaired.

    Args:
        root: folder that holds the domains: NAME, train/NAME, NAME/train, train_NAME or trainNAME for each of them, and
            perhaps their test images in test/NAME, NAME/test and so on.
        domains: names of the domains, in the order of their numbers; those of their folders.
        size: height and width of a sample in pixels.
        crop: probability of a random crop of 80 to 100 % of the area and of an aspect of 0.9 to 1.1, before resizing.
        flip: whether half of the training images are mirrored left to right.
        resample: Pillow's filter for resizing.
        seed: of the choice of images and of their augmentation, >= 0.
        channels: channels of the images; grey and RGB are converted to each other.
        range: stored values that become -1 and 1, such as `[0, 4095]` for 12 bits in 16-bit files.
        page: number of the page of files that have several, from 0; name of an array in .npz files.
        srgb: whether images with an embedded colour profile are converted to sRGB.
        val: share of the training images of each domain that is held back for validation, such as 0.05; it follows from
            the file names alone.
        min_images: fewer images of a domain are refused when training starts.

    Raises:
        DataError: a folder is missing, or holds no image that can be read; names all such folders.

    Source: the sampling and augmentation of StarGAN v2, Choi et al., CVPR 2020, arXiv:1912.01865.
    """

    def __init__(
        self,
        root: Location | None = None,
        domains: tuple[str, ...] = (),
        size: SampleSize = 256,
        crop: Probability = 0.5,
        flip: bool = True,
        resample: Resample = "bilinear",
        seed: int = 0,
        channels: Positive = 3,
        range: tuple[float, float] | None = None,
        page: Page = None,
        srgb: bool = True,
        val: Share = 0.0,
        min_images: Positive = MIN_IMAGES,
    ) -> None:
        self.size, self.crop, self.flip, self.resample, self.seed = size, crop, flip, resample, seed
        self.channels, self.format = channels, PixelFormat(channels, range, None, page, srgb)
        path = as_path(root)
        if path is None:
            raise not_given("domains", [])
        check_folder(path)
        if len(domains) < 2:
            raise DataError(f"data.domains: expected the names of at least two folders in {path}, got {list(domains)}")
        self.check(domains)
        self.domains = domains
        self.min_images = min_images
        self.summary: list[str] = []
        folders, test_folders = _folders(path, domains)
        if problem := find_overlap({f"domain {name}": folder for name, folder in folders.items()}):
            raise DataError(problem)
        self.train, validation = self._open(folders, val)
        tests, _ = self._open(test_folders, None)
        self.held_out_files = {"val": validation, "test": tests}
        self.test = {**self.train, **validation, **tests}

    def __len__(self) -> int:
        """Images of all domains: the samples of one epoch."""
        return sum(map(len, self.train.values()))

    def image_of(self, domain: str, random: Random, skipped: list[str]) -> Tensor:
        files = self.train[domain]
        start = int(random.random() * len(files))
        order = chain(range(start, len(files)), range(start))
        _, (image,) = next(files.readable(order, skipped))
        if random.random() < self.crop:
            image = crop(image, *_box(random, *size_of(image)))
        sample = resized(image, self.size, self.resample)
        return to_tensor(mirrored(sample) if random.random() < 0.5 and self.flip else sample)

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first test images of each domain, or else training images, [n, 3, H, W] in [-1, 1].

        Args:
            count: how many of each domain, >= 1.
        """
        batch: dict[str, Tensor] = {}
        for domain, files in self.test.items():
            readable = islice(files.readable(range(len(files)), []), count)
            batch[domain] = torch.stack([eval_transform(image, self.size, self.resample) for _, (image,) in readable])
        return batch

    def held_out(self, split: Literal["val", "test"]) -> dict[str, HeldOut]:
        """Images that are not trained on, by domain; a domain without such images is missing.

        Args:
            split: `val`, the share `val`, or `test`, those of the folders of test images.
        """

        def transform(image: Pixels) -> Pixels:
            return resized(image, self.size, self.resample)

        return {domain: HeldOut(files, 0, transform) for domain, files in self.held_out_files[split].items()}

    def too_few(self) -> str | None:
        """Why the images are too few to train on, as a sentence; None if they are enough."""
        return too_few({domain: len(files) for domain, files in self.train.items()}, self.min_images, self.summary)

    def _open(
        self, folders: Mapping[str, Place], share: float | None
    ) -> tuple[dict[str, ImageFiles], dict[str, ImageFiles]]:
        """The images of each folder, and those held back; raises all problems at once.

        Args:
            folders: by domain.
            share: of the images, for validation; None for folders of test images.
        """
        files: dict[str, ImageFiles] = {}
        validation: dict[str, ImageFiles] = {}
        problems: list[str] = []
        for name, folder in folders.items():
            try:
                listing = list_images(folder, None if share is None else "data.root")
                paths = [listing.relative(image) for image in listing.images]
                train, kept = split_share([(image,) for image in listing.images], paths, share or 0.0)
                files[name] = ImageFiles(train, str(folder), self._read)
                if kept:
                    validation[name] = ImageFiles(kept, str(folder), self._read)
                option = f"data.{name}" if share is not None else f"data.test_{name}"
                self.summary += summary_lines(option, listing, len(kept))
            except DataError as error:
                problems.append(str(error))
        if problems:
            raise DataError("\n".join(problems))
        return files, validation

    def _read(self, files: Sequence[ImageFile]) -> Images:
        return (self.format.read(files[0]),)


def _folders(root: Place, domains: Sequence[str]) -> tuple[dict[str, Place], dict[str, Place]]:
    """The folders of each domain's training images, and of its test images if there are some.

    Raises:
        DataError: no layout has a folder for every domain, or test images would be trained on.
    """
    for train, tests in LAYOUTS:
        folders: dict[str, Place] = {name: root / train.format(name=name) for name in domains}
        if all(folder.is_dir() for folder in folders.values()):
            found: dict[str, list[Place]] = {
                name: [root / test.format(name=name) for test in tests] for name in domains
            }
            test_folders = {
                name: next((path for path in paths if path.is_dir()), None) for name, paths in found.items()
            }
            for folder in folders.values():
                inside = next((name for name in ("test", "val", "valid") if (folder / name).is_dir()), None)
                if inside is not None:
                    raise DataError(
                        f"{folder} holds a folder {inside!r}, whose images would be trained on; put the training "
                        f"images into a folder 'train' next to it"
                    )
            return folders, {name: folder for name, folder in test_folders.items() if folder is not None}
    entries = ", ".join(sorted(entry.name for entry in root.iterdir() if entry.is_dir())[:8]) or "none"
    lacking = [name for name in domains if not any((root / train.format(name=name)).is_dir() for train, _ in LAYOUTS)]
    raise DataError(
        f"data.domains: expected {root} to hold a folder for each of {', '.join(domains)}; "
        f"{', '.join(lacking) or 'one layout for all of them'} is missing; folders there: {entries}"
    )


def _box(random: Random, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop; of the whole image if ten of them do not fit."""
    for _ in range(10):
        area = width * height * (AREA[0] + (AREA[1] - AREA[0]) * random.random())
        low, high = map(math.log, RATIO)
        ratio = math.exp(low + (high - low) * random.random())
        columns, rows = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            left, top = (int(random.random() * (room + 1)) for room in (width - columns, height - rows))
            return top, left, rows, columns
    return 0, 0, height, width
