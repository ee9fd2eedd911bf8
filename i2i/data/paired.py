"""Pairs of images, side by side in one file or in two folders under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Count, Positive
from i2i.data.base import Channels, ImageDataset, ValueRange, check_formats, of_domain, pixel_formats
from i2i.data.decoding import ImageFile, Page, UnreadableImage
from i2i.data.files import ImageFiles, Images
from i2i.data.images import as_path, find_images
from i2i.data.locations import check_folder, not_given
from i2i.data.pixels import Pixels, crop, size_of, to_tensor
from i2i.data.transforms import Resample, ResizeMode, SampleSize, SampleTransform
from i2i.errors import DataError, OptionError


class Paired(ImageDataset):
    """Pairs of images that show the same in two domains; both images of a pair get the same flip and crop.

    Each epoch visits all pairs in a new order. A sample depends on the arguments and its number alone.

    Args:
        root: folder of side-by-side images, or one that holds `train` and perhaps `test` or `val`.
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
        resample: Pillow's filter for resizing; pix2pix has `bicubic`.
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

    Raises:
        DataError: a folder is missing or holds no pair that can be read, an image has no partner, or several.
        OptionError: `load_size` is smaller than `size`, or `range` or `percentiles` cannot be meant.
    """

    def __init__(
        self,
        root: Path | None = None,
        a: Path | None = None,
        b: Path | None = None,
        test: Path | None = None,
        test_a: Path | None = None,
        test_b: Path | None = None,
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
    ) -> None:
        self.check(channels, range, percentiles, root)
        self.left, self.size, self.channels, self.patches, self.seed = left, size, channels, patches, seed
        self.resample = resample
        self.transform = SampleTransform.of(size, load_size, margin, resize, flip, resample)
        self.formats = pixel_formats(self.domains, channels, range, percentiles, page, srgb)
        root, a, b, test, test_a, test_b = map(as_path, (root, a, b, test, test_a, test_b))
        if root is not None:
            check_folder(root)
            if (root / "train").is_dir():
                if test is None and (test_a is None or test_b is None):
                    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
                root = root / "train"
        pairs = self._open("", root, a, b)
        self.test = self._open("test_", test, test_a, test_b) if test or test_a or test_b else pairs
        self.train = pairs.resized(self.transform, cache * 2**20, patches=patches)

    @classmethod
    def check(
        cls,
        channels: Channels,
        range: ValueRange | None,
        percentiles: ValueRange | None,
        root: Path | None = None,
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
        a, b = (to_tensor(self.transform.cut(image, draw)) for image in images)
        return {"a": a, "b": b, "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first test pairs, or else training pairs, neither flipped nor cropped.

        Args:
            count: how many, >= 1.

        Returns:
            batch: "a" and "b", each [n, C, H, W] in [-1, 1]; n is `count`, or less where there are fewer pairs.
        """
        pairs = [images for _, images in islice(self.test.readable(range(len(self.test)), []), count)]
        return {
            domain: torch.stack([to_tensor(self.transform.preview(image)) for image in images])
            for domain, images in zip(self.domains, zip(*pairs, strict=True), strict=True)
        }

    def _open(self, prefix: str, both: Path | None, a: Path | None, b: Path | None) -> ImageFiles:
        """The pairs of one folder of side-by-side images, or of two folders."""
        folders = {f"data.{prefix.rstrip('_') or 'root'}": both, f"data.{prefix}a": a, f"data.{prefix}b": b}
        given = [name for name, folder in folders.items() if folder is not None]
        if both is not None and len(given) == 1:
            return ImageFiles([(file,) for file in find_images(both)], str(both), self._split)
        if a is not None and b is not None and both is None:
            return ImageFiles(match_names(a, b), f"{a} and {b}", self._read_both)
        if not prefix:
            raise not_given("paired", given)
        raise DataError(
            f"expected pairs of test images, got {' and '.join(given)}; give data.test, a folder of side-by-side "
            f"images, or data.test_a and data.test_b, two folders with the same file names"
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


def match_names(a: Path, b: Path) -> list[tuple[Path, Path]]:
    """Pairs of images of two folders whose relative paths are equal apart from the suffix, in the order of a.

    Raises:
        DataError: an image has no partner, or more than one; or both folders are the same.
    """
    if a.resolve() == b.resolve():
        raise DataError(
            f"data.a and data.b are one folder, {a}, so each image would be its own partner; give two folders"
        )
    named: dict[Path, dict[Path, Path]] = {}
    for folder in (a, b):
        files = named[folder] = {}
        for file in find_images(folder):
            other = files.setdefault(file.relative_to(folder).with_suffix(""), file)
            if other != file:
                raise DataError(
                    f"{other} and {file} differ only in their suffix, so it is not clear which one is a pair's; "
                    "keep one of them, or put each kind into its own folder"
                )
    for here, there in ((a, b), (b, a)):
        lonely = [file.name for name, file in named[here].items() if name not in named[there]]
        if lonely:
            raise DataError(
                f"{len(lonely)} of {len(named[here])} images in {here} have no partner of the same name in {there}: "
                f"{', '.join(lonely[:4])}{' ...' if len(lonely) > 4 else ''}"
            )
    return [(file, named[b][name]) for name, file in named[a].items()]
