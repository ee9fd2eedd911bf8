"""Unpaired folders of images, one for each domain."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from random import Random
from typing import Annotated, Literal, cast

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Augmentation
from i2i.core.factory import Factory
from i2i.data.augmentation import AugmentOn, augment_batch, augment_image
from i2i.data.base import Channels, ImageDataset, ValueRange, check_formats, pixel_formats
from i2i.data.decoding import ImageFile, Page, UnreadableImage, decode
from i2i.data.files import ImageFiles, Images
from i2i.data.held_out import HeldOut, Share, split_share
from i2i.data.images import as_path
from i2i.data.layouts import divide, find_unpaired
from i2i.data.listing import list_images
from i2i.data.locations import Location, check_folder, not_given
from i2i.data.pixels import PixelFormat, Pixels, size_of, to_tensor
from i2i.data.plausibility import MIN_IMAGES, find_overlap, summary_lines, too_few, unknown_layout
from i2i.data.sources.locate import Place
from i2i.data.transforms import FlipCrop, Resample, ResizeMode, SampleSize, SampleTransform
from i2i.errors import DataError

log = logging.getLogger("i2i")


class Folders(ImageDataset):
    """Unpaired folders of images, one for each domain, in any of the usual layouts.

    Each domain visits all its images in a new order in each epoch; the smaller one begins its next epoch while the
    larger one is still in its first. A sample depends on the arguments and its number alone, so neither the number of
    workers nor a resumed run changes it.

    Each location is a folder, or what `Location` names: tar shards, a zip archive, a table, or a URL.

    A subclass can give further files, such as masks, the flip, resize and crop of an image: it declares a stream for
    them, and returns them from `companions`.

    Args:
        a: folder of domain a's training images, subfolders included; `root` may stand for `a` and `b`. Of a folder
            that holds `train`, and perhaps `test` or `val`, these are the training and the test images.
        b: folder of domain b's training images.
        root: folder that holds `trainA` and `trainB`, and perhaps `testA` and `testB`.
        test_a: folder of a's images for previews; without it, the first training images are shown.
        test_b: folder of b's images for previews.
        size: height and width of a sample in pixels; one number for a square.
        load_size: height and width to which an image is resized before the random crop; `size + margin` if not given.
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
        channels: channels of the images; a table such as `{ a = 1, b = 5 }` where domains differ. Grey and RGB are
            converted to each other.
        range: stored values that become -1 and 1, such as `[0, 4095]` for 12 bits in 16-bit files; a table where
            domains differ. If not given, the file says it, or its type: 255, 65535, and 0 to 1 for floats.
        percentiles: percentiles of each image's values that become -1 and 1, such as `[1, 99]`, in place of `range`.
        page: number of the page of files that have several, from 0; name of an array in .npz files; `all` makes
            pages channels.
        resize: `square` ignores the aspect ratio, as the official implementations do; `short_side` keeps it and covers
            the crop; `fit` keeps it and pads by reflection; `none` crops at the images' own resolution.
        patches: random crops of an image that follow each other, so that a large one is read once for all of them.
        srgb: whether images with an embedded colour profile are converted to sRGB.
        val: share of the training images that is held back for validation, such as 0.05; it follows from the file names
            alone. Or a folder that holds A and B.
        val_a: folder of a's images for validation.
        val_b: folder of b's images for validation.
        min_images: fewer images of a domain are refused when training starts.

    Raises:
        DataError: a folder is missing, holds no image that can be read, or lies in another one; names all such folders.
        OptionError: `load_size` is smaller than `size`, or `range` or `percentiles` cannot be meant.
    """

    paired = False

    def __init__(
        self,
        a: Location | None = None,
        b: Location | None = None,
        root: Location | None = None,
        test_a: Location | None = None,
        test_b: Location | None = None,
        size: SampleSize = 256,
        load_size: SampleSize | None = None,
        margin: Annotated[int, Ge(0)] = 30,
        flip: bool = True,
        resample: Resample = "bilinear",
        augment: tuple[Factory[Augmentation], ...] = (),
        seed: int = 0,
        cache: Count = 1024,
        augment_on: AugmentOn = "workers",
        channels: Channels = 3,
        range: ValueRange | None = None,
        percentiles: ValueRange | None = None,
        page: Page = None,
        resize: ResizeMode = "square",
        patches: Positive = 1,
        srgb: bool = True,
        val: Share | Location = 0.0,
        val_a: Location | None = None,
        val_b: Location | None = None,
        min_images: Positive = MIN_IMAGES,
    ) -> None:
        self.check(channels, range, percentiles)
        self.augment, self.augment_on = [build() for build in augment], augment_on
        self.size, self.channels, self.patches, self.seed = size, channels, patches, seed
        self.resample = resample
        self.transform = SampleTransform.of(size, load_size, margin, resize, flip, resample)
        self.formats = pixel_formats(self.domains, channels, range, percentiles, page, srgb)
        self.min_images = min_images
        folders = _resolve(as_path(a), as_path(b), as_path(root))
        given = {"test_a": test_a, "test_b": test_b, "val_a": val_a, "val_b": val_b}
        if not isinstance(val, float | int):
            folders |= {f"val_{domain}": folder for domain, folder in self._validation_root(as_path(val)).items()}
        folders |= {name: as_path(folder) for name, folder in given.items() if folder is not None}
        self.folders = folders
        files = self._open(folders, val if isinstance(val, float | int) else 0.0)
        self.held_out_files = {
            split: {domain: files[f"{split}_{domain}"] for domain in self.domains if f"{split}_{domain}" in files}
            for split in ("val", "test")
        }
        shown = {**files, **self.held_out_files["val"], **self.held_out_files["test"]}
        self.test = {domain: shown[domain] for domain in self.domains}
        total = sum(len(files[domain]) for domain in self.domains)
        self.train: dict[str, ImageFiles] = {}
        for domain in self.domains:
            share = cache * 2**20 * len(files[domain]) // total
            nearest = [self.streams[stream].role == "label" for stream in self._item_streams[domain]]
            self.train[domain] = files[domain].resized(self.transform, share, nearest, patches)

    @classmethod
    def check(
        cls,
        channels: Channels,
        range: ValueRange | None,
        percentiles: ValueRange | None,
    ) -> None:
        """Check options together, without opening files.

        Raises:
            OptionError: a range or percentiles that cannot be meant, or a domain that does not exist.
        """
        check_formats(cls.domains, channels, range, percentiles)

    def companions(self, domain: str, file: ImageFile) -> Mapping[str, ImageFile]:
        """Return further files of an image, by stream, that get its resize, flip and crop; none by default.

        Each stream must be declared in `declare_streams`; all images of a domain must have the same ones, of the
        image's height and width. Masks are read as grey in their stream's range, and labels as class numbers, which
        are resized to the nearest; override `read` for others.

        Args:
            domain: of the image.
            file: the image's file.
        """
        return {}

    def read(self, stream: str, file: ImageFile) -> Pixels:
        """Read a file of a stream: an image of a domain, or one that `companions` names.

        Raises:
            UnreadableImage: it is damaged, or not what the stream expects.
        """
        if stream in self.formats:
            return self.formats[stream].read(file)
        specification = self.streams[stream]
        if specification.role != "label":
            return PixelFormat(specification.channels).read(file)
        pixels = decode(file, channels=1).pixels
        numbers = np.asarray(pixels)  # of a palette image these are the numbers of its colours
        return (numbers if numbers.ndim == 3 else numbers[..., None]).astype(np.int32)

    def __len__(self) -> int:
        """Images of the larger domain, times `patches`: the samples of one epoch."""
        return max(map(len, self.train.values())) * self.patches

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0; in place of a damaged file comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [C, H, W] in [-1, 1]; "skipped", a line for each damaged file on the way; and
            with `augment_on = "device"`, "seeds", one for each domain.
        """
        sample: dict[str, object] = {}
        skipped: list[str] = []
        seeds: list[int] = []
        item, patch = divmod(number, self.patches)
        for domain in self.domains:
            epoch, index, images = self.train[domain].draw(item, self.seed, domain, skipped)
            # A fresh generator for each sample: one that lives on would depend on what this process drew before.
            random = Random(f"{self.seed} {domain} {epoch} {index}" + (f" {patch}" if self.patches > 1 else ""))
            draw = self.transform.draw(random, size_of(images[0]))
            seeds.append(random.getrandbits(63))
            for stream, image in zip(self._item_streams[domain], images, strict=True):
                sample[stream] = self._tensor(stream, image, draw)
            if self.augment_on == "workers":
                sample[domain] = augment_image(cast(Tensor, sample[domain]), self.augment, seeds[-1])
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
            batch: for each domain [n, C, H, W] in [-1, 1]; n is `count`, or less where there are fewer images.
        """
        batch: dict[str, Tensor] = {}
        for domain, images in self.test.items():
            readable = islice(images.readable(range(len(images)), []), count)
            batch[domain] = torch.stack([to_tensor(self.transform.preview(image)) for _, (image, *_) in readable])
        return batch

    def held_out(self, split: Literal["val", "test"]) -> dict[str, HeldOut]:
        """Images that are not trained on, by domain; a domain without such images is missing.

        Args:
            split: `val`, those of `val`, `val_a` and `val_b` or of folders named so, or `test`.
        """
        files = self.held_out_files[split]
        return {domain: HeldOut(images, 0, self.transform.preview) for domain, images in files.items()}

    def overlap(self) -> str | None:
        """Why the folders cannot be meant, as a sentence: one lies in another one, or is the same; or None."""
        return find_overlap({f"data.{name}": folder for name, folder in self.folders.items()})

    def too_few(self) -> str | None:
        """Why the images are too few to train on, as a sentence; None if they are enough."""
        return too_few({domain: len(files) for domain, files in self.train.items()}, self.min_images, self.summary)

    def _validation_root(self, root: Place) -> dict[str, Place]:
        """The folders of both domains in the folder `val`."""
        check_folder(root)
        found = find_unpaired(root)
        if found is None:
            raise DataError(f"data.val: expected {root} to hold a folder for each domain, such as A and B")
        return {domain: found[domain] for domain in self.domains}

    def _open(self, folders: dict[str, Place], share: float) -> dict[str, ImageFiles]:
        """The images of each folder, those of training with their companions; raises all problems at once.

        Args:
            folders: by name: a domain, or `test_` or `val_` and a domain.
            share: of the training images, for validation.
        """
        files: dict[str, ImageFiles] = {}
        problems: list[str] = []
        self._item_streams: dict[str, tuple[str, ...]] = {}
        self.summary: list[str] = []
        for name, folder in folders.items():
            domain = name.rpartition("_")[2]
            try:
                listing = list_images(folder, f"data.{name}" if name in self.domains else None)
                found: Sequence[Place] = listing.images
                kept: Sequence[Place] = []
                if name in self.domains and share and f"val_{domain}" not in folders:
                    found, kept = split_share(found, [listing.relative(image) for image in found], share)
                self.summary += summary_lines(f"data.{name}", listing, len(kept))
                streams: tuple[str, ...] = (domain,)
                items: list[tuple[ImageFile, ...]] = [(file,) for file in found]
                if name in self.domains:
                    streams, items = self._with_companions(domain, found)
                    self._item_streams[domain] = streams
                files[name] = ImageFiles(items, str(folder), partial(self._read_item, streams))
                if kept:
                    read = partial(self._read_item, (domain,))
                    files[f"val_{domain}"] = ImageFiles([(file,) for file in kept], str(folder), read)
                readable = next(file for file, *_ in items if file not in files[name].damaged)
                if note := self.formats[domain].dark_image_note(f"data.{domain}", readable):
                    log.warning(note)
            except DataError as error:
                problems.append(str(error))
        if problems:
            raise DataError("\n".join(problems))
        return files

    def _with_companions(
        self, domain: str, files: Sequence[ImageFile]
    ) -> tuple[tuple[str, ...], list[tuple[ImageFile, ...]]]:
        """The streams of an item, and the files of each item."""
        by_stream = [{domain: file, **self.companions(domain, file)} for file in files]
        streams = tuple(by_stream[0])
        for named, file in zip(by_stream, files, strict=True):
            if tuple(named) != streams:
                expected, got = ", ".join(streams[1:]) or "none", ", ".join(tuple(named)[1:]) or "none"
                raise DataError(f"{file}: expected the companions {expected}, as {files[0]} has them, got {got}")
        return streams, [tuple(named.values()) for named in by_stream]

    def _read_item(self, streams: Sequence[str], files: Sequence[ImageFile]) -> Images:
        images = tuple(map(self.read, streams, files))
        for file, image in zip(files[1:], images[1:], strict=True):
            if size_of(image) != size_of(images[0]):
                sides = [" x ".join(map(str, size_of(one)[::-1])) for one in (images[0], image)]
                raise UnreadableImage(file, f"expected {sides[0]} pixels, the size of {files[0]}, got {sides[1]}")
        return images

    def _tensor(self, stream: str, image: Pixels, draw: FlipCrop) -> Tensor:
        """A file's part of a sample: an image in [-1, 1], a mask in its stream's range, or class numbers [H, W]."""
        values = to_tensor(self.transform.cut(image, draw))
        specification = self.streams[stream]
        if specification.role == "label":
            return values[0].long()
        if specification.role == "mask":
            low, high = specification.range
            return (values + 1) / 2 * (high - low) + low
        return values


def _resolve(a: Place | None, b: Place | None, root: Place | None) -> dict[str, Place]:
    """The training folders "a" and "b", and of "test_a", "test_b", "val_a" and "val_b" those that exist."""
    given = [f"data.{name}" for name, folder in (("a", a), ("b", b), ("root", root)) if folder is not None]
    if a is not None and b is not None and root is None:
        folders: dict[str, Place] | None = {"a": a, "b": b}
    elif root is None or len(given) > 1:
        raise not_given("folders", given)
    else:
        check_folder(root)
        folders = find_unpaired(root)
        if folders is None:
            raise DataError(unknown_layout(root))
    assert folders is not None
    for domain in Folders.domains:  # no test image is trained on
        parts = divide(folders[domain], f"data.{domain}", f"data.test_{domain}")
        folders[domain] = parts.pop("train")
        for split, folder in parts.items():
            folders.setdefault(f"{split}_{domain}", folder)
    return folders
