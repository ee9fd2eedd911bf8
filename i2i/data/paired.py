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

from i2i.core.bounds import Count
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles, Images, read_all
from i2i.data.images import UnreadableImage, as_path, find_images, read_image
from i2i.data.locations import check_folder, not_given
from i2i.data.transforms import Resample, draw_flip_crop, eval_transform, flip_crop, side_to_crop
from i2i.errors import DataError


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
        size: height and width of a sample in pixels.
        load_size: side to which an image is resized before the random crop; `size + margin` if not given.
        margin: pixels that the random crop leaves out; 30 at any size, as in the official implementations.
        flip: whether half of the training pairs are mirrored left to right.
        resample: Pillow's filter for resizing; pix2pix has `bicubic`.
        seed: of order and augmentation, >= 0.
        cache: MiB of memory for resized training images, which are then read from their files once; all workers
            share it. 0 for none.

    Raises:
        DataError: a folder is missing or holds no pair that can be read, an image has no partner, or several.
        OptionError: `load_size` is smaller than `size`.
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
        size: Annotated[int, Ge(8)] = 256,
        load_size: int | None = None,
        margin: Annotated[int, Ge(0)] = 30,
        flip: bool = True,
        resample: Resample = "bicubic",
        seed: int = 0,
        cache: Count = 1024,
    ) -> None:
        self.left, self.size, self.flip, self.resample, self.seed = left, size, flip, resample, seed
        self.load_size = side_to_crop(size, load_size, margin)
        root, a, b, test, test_a, test_b = map(as_path, (root, a, b, test, test_a, test_b))
        if root is not None:
            check_folder(root)
            if (root / "train").is_dir():
                if test is None and (test_a is None or test_b is None):
                    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
                root = root / "train"
        pairs = self._open("", root, a, b)
        self.test = self._open("test_", test, test_a, test_b) if test or test_a or test_b else pairs
        self.train = pairs.resized(self.load_size, resample, cache * 2**20)

    def __len__(self) -> int:
        """Pairs: the samples of one epoch."""
        return len(self.train)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0; in place of a damaged pair comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [3, size, size] in [-1, 1], and "skipped", a line for each damaged file on the way.
        """
        skipped: list[str] = []
        epoch, index, images = self.train.draw(number, self.seed, "pairs", skipped)
        # A fresh generator for each sample: one that lives on would depend on what this process drew before.
        random = Random(f"{self.seed} pairs {epoch} {index}")
        flip_and_place = draw_flip_crop(random, self.size, self.load_size, self.flip)
        a, b = (flip_crop(image, flip_and_place, self.size) for image in images)
        return {"a": a, "b": b, "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first test pairs, or else training pairs, neither flipped nor cropped.

        Args:
            count: how many, >= 1.

        Returns:
            batch: "a" and "b", each [n, 3, size, size] in [-1, 1]; n is `count`, or less where there are fewer pairs.
        """
        pairs = [images for _, images in islice(self.test.readable(range(len(self.test)), []), count)]
        return {
            domain: torch.stack([eval_transform(image, self.size, self.resample) for image in images])
            for domain, images in zip(self.domains, zip(*pairs, strict=True), strict=True)
        }

    def _open(self, prefix: str, both: Path | None, a: Path | None, b: Path | None) -> ImageFiles:
        """The pairs of one folder of side-by-side images, or of two folders."""
        folders = {f"data.{prefix.rstrip('_') or 'root'}": both, f"data.{prefix}a": a, f"data.{prefix}b": b}
        given = [name for name, folder in folders.items() if folder is not None]
        if both is not None and len(given) == 1:
            return ImageFiles([(file,) for file in find_images(both)], str(both), self._split)
        if a is not None and b is not None and both is None:
            return ImageFiles(match_names(a, b), f"{a} and {b}", read_all)
        if not prefix:
            raise not_given("paired", given)
        raise DataError(
            f"expected pairs of test images, got {' and '.join(given)}; give data.test, a folder of side-by-side "
            f"images, or data.test_a and data.test_b, two folders with the same file names"
        )

    def _split(self, files: Sequence[Path]) -> Images:
        """Both halves of a side-by-side image, a first."""
        image = read_image(files[0])
        width, height = image.width // 2, image.height
        if image.width < height or width == 0:
            raise UnreadableImage(
                files[0],
                f"expected two images side by side, got one of {image.width} x {height} pixels, higher than wide",
            )
        halves = [image.crop((left, 0, left + width, height)) for left in (0, width)]
        return tuple(halves if self.left == "a" else halves[::-1])


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
