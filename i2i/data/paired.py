"""Pairs of images, side by side in one file or in two folders under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice, permutations
from pathlib import PurePath
from random import Random
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Count, Positive
from i2i.data.base import Channels, ImageDataset, ValueRange, check_formats, of_domain, pixel_formats
from i2i.data.decoding import ImageFile, Page, UnreadableImage
from i2i.data.files import ImageFiles, Images
from i2i.data.held_out import HeldOut, Share, split_share
from i2i.data.images import as_path
from i2i.data.layouts import divide, find_unpaired
from i2i.data.listing import Listing, list_images
from i2i.data.locations import Location, check_folder, not_given
from i2i.data.pixels import Pixels, crop, size_of, to_tensor
from i2i.data.plausibility import (
    MIN_PAIRS,
    find_overlap,
    refuse_aspect,
    refuse_unpaired,
    summary_lines,
    too_few,
)
from i2i.data.sources.locate import Place
from i2i.data.sources.tables import TableSource
from i2i.data.sources.tree import SourcePath
from i2i.data.transforms import Resample, ResizeMode, SampleSize, SampleTransform
from i2i.errors import DataError, OptionError


class Paired(ImageDataset):
    """Pairs of images that show the same in two domains; both images of a pair get the same flip and crop.

    Each location is a folder, or what `Location` names: tar shards, a zip archive, a table, or a URL.

    Each epoch visits all pairs in a new order. A sample depends on the arguments and its number alone.

    Args:
        root: folder of side-by-side images, or one that holds `train` and perhaps `test` or `val`; or a table with the
            columns `imageA` and `imageB`.
        a: folder of domain a; an image and the one of `b` with the same path, apart from the suffix, are a pair.
        b: folder of domain b.
        test: folder of side-by-side images for previews; without it, `test` or `val` in `root`, or the first training
            pairs.
        test_a: folder of domain a for previews.
        test_b: folder of domain b for previews.
        left: the domain of the left half of a side-by-side image.
        size: height and width of a sample in pixels; one number for a square.
        load_size: height and width to which an image is resized before the random crop; `size + margin` if not given.
        margin: pixels that the random crop leaves out; 30 at any size, as in the official implementations.
        flip: whether half of the training pairs are mirrored left to right.
        resample: Pillow's filter for resizing.
        seed: of order and augmentation, >= 0.
        cache: MiB of memory for resized training images, which are then read from their files once; all workers
            share it. 0 for none.
        channels: channels of the images; a table such as `{ a = 1, b = 5 }` where domains differ. Grey and RGB are
            converted to each other.
        range: stored values that become -1 and 1, such as `[0, 4095]` for 12 bits in 16-bit files; a table where
            domains differ. If not given, the file says it, or its type: 255, 65535, and 0 to 1 for floats.
        percentiles: percentiles of each image's values that become -1 and 1, such as `[1, 99]`, in place of `range`.
        page: number of the page of files that have several, from 0; name of an array in .npz files; `all` makes
            pages channels.
        resize: `square` ignores the aspect ratio, as the official implementations do; `short_side` keeps it and covers
            the crop; `fit` keeps it and pads by reflection; `none` crops at the images' own resolution.
        patches: random crops of a pair that follow each other, so that a large one is read once for all of them.
        srgb: whether images with an embedded colour profile are converted to sRGB.
        val: share of the training pairs that is held back for validation, such as 0.05; it follows from the file names
            alone. Or a folder of side-by-side images.
        val_a: folder of domain a for validation.
        val_b: folder of domain b for validation.
        aspect: smallest and largest width by height of a side-by-side image; if most images of a folder are outside,
            they are not pairs.
        min_images: fewer pairs are refused when training starts.

    Raises:
        DataError: a folder is missing or holds no pair that can be read, an image has no partner, or several; the
            images are no pairs; or a folder lies in another one.
        OptionError: `load_size` is smaller than `size`, or `range` or `percentiles` cannot be meant.
    """

    paired = True

    def __init__(
        self,
        root: Location | None = None,
        a: Location | None = None,
        b: Location | None = None,
        test: Location | None = None,
        test_a: Location | None = None,
        test_b: Location | None = None,
        left: Literal["a", "b"] = "a",
        size: SampleSize = 256,
        load_size: SampleSize | None = None,
        margin: Annotated[int, Ge(0)] = 30,
        flip: bool = True,
        resample: Resample = "bicubic",
        seed: int = 0,
        cache: Count = 1024,
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
        aspect: tuple[float, float] = (1.4, 3.0),
        min_images: Positive = MIN_PAIRS,
    ) -> None:
        self.check(channels, range, percentiles, root)
        self.left, self.size, self.channels, self.patches, self.seed = left, size, channels, patches, seed
        self.resample = resample
        self.transform = SampleTransform.of(size, load_size, margin, resize, flip, resample)
        self.formats = pixel_formats(self.domains, channels, range, percentiles, page, srgb)
        self.aspect, self.min_images = aspect, min_images
        share, val_root = (val, None) if isinstance(val, float | int) else (0.0, as_path(val))
        places = {"root": as_path(root), "a": as_path(a), "b": as_path(b)}
        held_out: dict[str, dict[str, Place | None]] = {
            "test": {"test": as_path(test), "test_a": as_path(test_a), "test_b": as_path(test_b)},
            "val": {"val": val_root, "val_a": as_path(val_a), "val_b": as_path(val_b)},
        }
        columns = _columns(places["root"])
        if columns:
            places = {"root": None, "a": columns["a"], "b": columns["b"]}
            for split, options in held_out.items():
                if not any(options.values()):
                    options |= {option: columns.get(option) for option in (f"{split}_a", f"{split}_b")}
        for name, place in places.items():  # no test pair is trained on
            if place is not None:
                check_folder(place)
                suffix = "" if name == "root" else f"_{name}"
                parts = divide(place, f"data.{name}", f"data.test{suffix}")
                places[name] = parts.pop("train")
                for split, folder in parts.items():
                    given, option = held_out[split], f"{split}{suffix}"
                    if not any(given.values()) if name == "root" else not (given[split] or given[option]):
                        given[option] = folder
        self.folder = places["a"] if places["root"] is None else places["root"]
        """Place of the training pairs, or of their images of a."""
        every = {**places, **held_out["test"], **held_out["val"]}
        self.summary: list[str] = []
        pairs, kept = self._open("", tuple(places.values()), share if not any(held_out["val"].values()) else 0.0)
        self.held_out_files = {"val": kept} if kept is not None else {}
        for split, options in held_out.items():
            if any(options.values()):
                self.held_out_files[split], _ = self._open(f"{split}_", tuple(options.values()))
        if problem := find_overlap({f"data.{name}": place for name, place in every.items() if place is not None}):
            raise DataError(problem)
        self.test = self.held_out_files.get("test", self.held_out_files.get("val", pairs))
        self.train = pairs.resized(self.transform, cache * 2**20, self.nearest, patches)

    @classmethod
    def check(
        cls,
        channels: Channels,
        range: ValueRange | None,
        percentiles: ValueRange | None,
        root: Location | None = None,
    ) -> None:
        """Check options together, without opening files.

        Raises:
            OptionError: a range or percentiles that cannot be meant, or other channels in halves of one file.
        """
        check_formats(cls.domains, channels, range, percentiles)
        if root is not None and len({of_domain(channels, domain, 3) for domain in cls.domains}) > 1:
            raise OptionError("channels", "both halves of a side-by-side image have the same channels; give one number")

    def __len__(self) -> int:
        """Pairs, times `patches`: the samples of one epoch."""
        return len(self.train) * self.patches

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0; in place of a damaged pair comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [C, H, W] in [-1, 1], and "skipped", a line for each damaged file on the way.

        Raises:
            DataError: no pair can be read.
        """
        skipped: list[str] = []
        item, patch = divmod(number, self.patches)
        epoch, index, images = self.train.draw(item, self.seed, "pairs", skipped)
        # A fresh generator for each sample: one that lives on would depend on what this process drew before.
        random = Random(f"{self.seed} pairs {epoch} {index}" + (f" {patch}" if self.patches > 1 else ""))
        draw = self.transform.draw(random, size_of(images[0]))
        named = zip(self.domains, images, strict=True)
        sample = {domain: self.to_sample(domain, self.transform.cut(image, draw)) for domain, image in named}
        return {**sample, **self.further(index), "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first test pairs, or else training pairs, neither flipped nor cropped.

        Args:
            count: how many, >= 1.

        Returns:
            batch: "a" and "b", each [n, C, H, W] in [-1, 1]; n is `count`, or less where there are fewer pairs.
        """
        pairs = [images for _, images in islice(self.test.readable(range(len(self.test)), []), count)]
        preview = {}
        for domain, nearest, images in zip(self.domains, self.nearest, zip(*pairs, strict=True), strict=True):
            resized = (self.transform.preview(image, nearest) for image in images)
            preview[domain] = torch.stack([self.to_sample(domain, image) for image in resized])
        return preview

    def further(self, index: int) -> dict[str, Tensor]:
        """Return further streams of a training pair, given its place among all; for subclasses."""
        return {}

    @property
    def nearest(self) -> tuple[bool, bool]:
        """Whether the values of a, and of b, must not be mixed when images are resized; for subclasses with labels."""
        return (False, False)

    def to_sample(self, domain: str, image: Pixels) -> Tensor:
        """Return a cropped image of a domain as it stands in a sample, [C, H, W]."""
        return to_tensor(image)

    def held_out(self, split: Literal["val", "test"]) -> dict[str, HeldOut]:
        """Pairs that are not trained on, by domain; images of equal index are a pair. Empty if there are none.

        Args:
            split: `val`, the pairs of `val`, `val_a` and `val_b` or of a folder named so, or `test`.
        """
        files = self.held_out_files.get(split)
        if files is None:
            return {}
        return {
            domain: HeldOut(
                files,
                place,
                partial(self.transform.preview, nearest=self.nearest[place]),
                partial(self.to_sample, domain),
            )
            for place, domain in enumerate(self.domains)
        }

    def too_few(self) -> str | None:
        """Why the pairs are too few to train on, as a sentence; None if they are enough."""
        return too_few({"": len(self.train)}, self.min_images, self.summary)

    def _open(
        self, prefix: str, places: tuple[Place | None, ...], share: float = 0.0
    ) -> tuple[ImageFiles, ImageFiles | None]:
        """The pairs of one folder of side-by-side images, or of two folders, and the share that is held back."""
        both, a, b = places
        folders = {f"data.{prefix.rstrip('_') or 'root'}": both, f"data.{prefix}a": a, f"data.{prefix}b": b}
        given = [name for name, folder in folders.items() if folder is not None]
        if both is not None and len(given) == 1:
            refuse_unpaired(both, given[0])
            listing = list_images(both, None if prefix else given[0])
            refuse_aspect(listing, given[0], self.aspect)
            paths = [listing.relative(file) for file in listing.images]
            train, kept = split_share([(file,) for file in listing.images], paths, share)
            self.summary += summary_lines(given[0], listing, len(kept))
            return (
                ImageFiles(train, str(both), self._split),
                ImageFiles(kept, str(both), self._split) if kept else None,
            )
        if a is not None and b is not None and both is None:
            listings = [list_images(place, None if prefix else name) for place, name in zip((a, b), given, strict=True)]
            matched = match_names(*listings)
            pairs, held_back = split_share(matched, [listings[0].relative(first) for first, _ in matched], share)
            for listing, name in zip(listings, given, strict=True):
                self.summary += summary_lines(name, listing, len(held_back))
            where = f"{a} and {b}"
            return (
                ImageFiles(pairs, where, self._read_both),
                ImageFiles(held_back, where, self._read_both) if held_back else None,
            )
        if not prefix:
            raise not_given("paired", given)
        split = prefix.rstrip("_")
        raise DataError(
            f"expected pairs of {'test' if split == 'test' else 'validation'} images, got {' and '.join(given)}; give "
            f"data.{split}, a folder of side-by-side images, or data.{split}_a and data.{split}_b, two folders with "
            f"the same file names"
        )

    def _read_both(self, files: Sequence[ImageFile]) -> Images:
        """Both images of a pair, a first."""
        images = tuple(self.formats[domain].read(file) for domain, file in zip(self.domains, files, strict=True))
        if self.transform.varies and size_of(images[0]) != size_of(images[1]):
            sides = [" x ".join(map(str, size_of(image)[::-1])) for image in images]
            raise UnreadableImage(
                files[1],
                f"expected {sides[0]} pixels, the size of {files[0]}, got {sides[1]}; only data.resize = 'square' and "
                f"'fit' bring pairs to one size",
            )
        return images

    def _split(self, files: Sequence[ImageFile]) -> Images:
        """Both halves of a side-by-side image, a first."""
        domains = self.domains if self.left == "a" else self.domains[::-1]
        formats = [self.formats[domain] for domain in domains]
        whole = formats[0].read(files[0])
        other = whole if formats[1] == formats[0] else formats[1].read(files[0])
        try:
            halves = split_halves(whole)[0], split_halves(other)[1]
        except DataError as error:
            raise UnreadableImage(files[0], str(error)) from error
        return halves if self.left == "a" else halves[::-1]


def _columns(root: Place | None) -> dict[str, Place]:
    """Both columns of images of a table, whose rows are pairs, and those of its other splits; else nothing."""
    if not isinstance(root, SourcePath) or not isinstance(root.source, TableSource):
        return {}
    return find_unpaired(root) or {}


def split_halves(image: Pixels) -> tuple[Pixels, Pixels]:
    """Split a side-by-side image into its left and right halves; a middle column of an odd width is omitted.

    Raises:
        DataError: it is higher than wide.
    """
    height, width = size_of(image)
    if width < height or width < 2:
        raise DataError(
            f"expected two images side by side, got one of {width} x {height} pixels, "
            f"{'higher than wide' if width < height else 'one pixel wide'}"
        )
    half = width // 2
    return crop(image, 0, 0, height, half), crop(image, 0, half, height, half)


def match_names(a: Listing, b: Listing) -> list[tuple[Place, Place]]:
    """Pairs of images of two folders whose relative paths are equal apart from the suffix, in the order of a.

    Raises:
        DataError: an image has no partner, or more than one.
    """
    named: list[dict[PurePath, Place]] = []
    for listing in (a, b):
        files: dict[PurePath, Place] = {}
        for file in listing.images:
            other = files.setdefault(listing.relative(file).with_suffix(""), file)
            if other != file:
                raise DataError(
                    f"{other} and {file} differ only in their suffix, so it is not clear which one is a pair's; "
                    "keep one of them, or put each kind into its own folder"
                )
        named.append(files)
    for (here, mine), (there, theirs) in permutations(zip((a, b), named, strict=True)):
        lonely = [file.name for name, file in mine.items() if name not in theirs]
        if lonely:
            raise DataError(
                f"{len(lonely)} of {len(mine)} images in {here.folder} have no partner of the same name in "
                f"{there.folder}: {', '.join(lonely[:4])}{' ...' if len(lonely) > 4 else ''}"
            )
    return [(file, named[1][name]) for name, file in named[0].items()]
