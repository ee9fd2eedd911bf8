"""Pairs of images, side by side in one file or in two folders under the same names, as a repeatable stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Annotated, Literal, NamedTuple

import torch
from annotated_types import Ge
from PIL import Image
from torch import Tensor

from i2i.core.bounds import Count
from i2i.data.base import ImageDataset
from i2i.data.cache import ImageCache
from i2i.data.images import UnreadableImage, check_folder, find_images, read_image
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample, draw_flip_crop, eval_transform, flip_crop, resized, side_to_crop
from i2i.errors import DataError

_WANTED = "give data.root, a folder of side-by-side images, or data.a and data.b, two folders with the same file names"


class _Pair(NamedTuple):
    """Where a pair's two halves are; one and the same file where they stand side by side."""

    a: Path
    b: Path


class _Pairs(NamedTuple):
    where: str
    pairs: list[_Pair]
    cached: bool = False
    """Whether halves are wanted resized, and kept; not where they are wanted as they are in their files."""


class Paired(ImageDataset):
    """Pairs of images that show the same in two manners; both halves get the same flip and crop.

    Each epoch visits all pairs in a new order. What a sample holds depends on the arguments and its number alone.

    Args:
        root: folder of side-by-side images, or one that holds `train` and perhaps `test` or `val`.
        a, b: two folders; images whose path without its suffix is the same are a pair.
        test: folder of side-by-side images for previews; without one, `test` or `val` in `root`, or the first
            training pairs.
        test_a, test_b: two folders of pairs for previews.
        left: the domain of the left half of a side-by-side image.
        size: side of a sample in pixels.
        load_size: side to which a half is resized before the random crop; `size + margin` if not given.
        margin: pixels that the random crop leaves out; 30 at any size, as in the official codes.
        flip: whether half the training pairs are mirrored left to right.
        resample: Pillow's filter for resizing; pix2pix has `bicubic`.
        seed: of order and augmentation, >= 0.
        cache: MiB of memory for resized training images, which are then read from their files once; all workers
            share it. 0 for none.

    Raises:
        DataError: a folder is missing or holds no pair that can be read, or an image has no partner.
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
        self.unreadable: dict[Path, str] = {}
        """Damaged files met so far in this process, each with what is wrong; only saves decoding them again."""
        if root is not None:
            check_folder(root)
            train = root / "train" if (root / "train").is_dir() else root
            beside = (root / name for name in ("test", "val") if train != root and (root / name).is_dir())
            test = test or (None if test_a and test_b else next(beside, None))
            root = train
        self.train = self._find("", root, a, b)
        given = test or test_a or test_b
        self.test = self._find("test_", test, test_a, test_b) if given else self.train
        self._cache = ImageCache(2 * len(self.train.pairs), self.load_size, cache * 2**20)
        self.train = self.train._replace(cached=True)

    def __len__(self) -> int:
        """Pairs, which is what an epoch is; the stream of samples itself has no end."""
        return len(self.train.pairs)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0 of the stream; in place of a damaged pair comes the next one of the epoch's order.

        Returns:
            sample: "a" and "b", [3, size, size] in [-1, 1], and "skipped", a line for each damaged file in its way.
        """
        skipped: list[str] = []
        epoch, start = divmod(number, len(self))
        order = epoch_order(self.seed, "pairs", epoch, len(self))
        indices = map(int, chain(order[start:], order[:start]))
        index, images = next(self._readable(self.train, indices, skipped))
        # A fresh generator for each sample: one that lives on would depend on what this process drew before.
        draw = draw_flip_crop(Random(f"{self.seed} pairs {epoch} {index}"), self.size, self.load_size, self.flip)
        sample: dict[str, object] = {domain: flip_crop(image, draw, self.size) for domain, image in images.items()}
        return sample | {"skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first test pairs, or else training pairs, neither flipped nor cropped.

        Args:
            count: how many, >= 1.

        Returns:
            batch: "a" and "b", each [n, 3, size, size] in [-1, 1]; n is `count`, or less where there are fewer pairs.
        """
        readable = self._readable(self.test, range(len(self.test.pairs)), [])
        pairs = [images for _, images in islice(readable, count)]
        return {
            domain: torch.stack([eval_transform(images[domain], self.size, self.resample) for images in pairs])
            for domain in self.domains
        }

    def _find(self, prefix: str, both: Path | None, a: Path | None, b: Path | None) -> _Pairs:
        names = {f"data.{prefix.rstrip('_') or 'root'}": both, f"data.{prefix}a": a, f"data.{prefix}b": b}
        given = [name for name, folder in names.items() if folder is not None]
        if both is not None and len(given) == 1:
            found = _Pairs(str(both), [_Pair(path, path) for path in find_images(both)])
        elif a is not None and b is not None and both is None:
            found = _Pairs(f"{a} and {b}", _matched(a, b))
        else:
            wanted = _WANTED.replace("data.", f"data.{prefix}").replace("test_root", "test")
            raise DataError(f"expected pairs of images, got {' and '.join(given) or 'no folder'}; {wanted}")
        # Here and not in a worker process, whose errors torch wraps in a traceback.
        next(self._readable(found, range(len(found.pairs)), []))
        return found

    def _readable(
        self, found: _Pairs, indices: Iterable[int], skipped: list[str]
    ) -> Iterator[tuple[int, dict[str, Image.Image]]]:
        """Each readable pair at `indices`; raises if there is none, and tells `skipped` of the others on the way."""
        none_yet = True
        for index in indices:
            pair = found.pairs[index]
            fault = next((self.unreadable[path] for path in pair if path in self.unreadable), None)
            if fault is None:
                try:
                    images = self._resized(index) if found.cached else self._read(pair)
                except UnreadableImage as error:
                    fault = self.unreadable[error.path] = str(error)
                else:
                    none_yet = False
                    yield index, images
                    continue
            skipped.append(fault)
        if none_yet:
            reasons = "; ".join(list(self.unreadable.values())[:3])
            raise DataError(f"none of the {len(found.pairs)} pairs in {found.where} can be read: {reasons}")

    def _resized(self, index: int) -> dict[str, Image.Image]:
        places = {"a": 2 * index, "b": 2 * index + 1}
        kept = {domain: image for domain, place in places.items() if (image := self._cache.get(place)) is not None}
        if len(kept) < len(places):
            images = self._read(self.train.pairs[index])
            kept = {domain: resized(image, self.load_size, self.resample) for domain, image in images.items()}
            for domain, image in kept.items():
                self._cache.put(places[domain], image)
        return kept

    def _read(self, pair: _Pair) -> dict[str, Image.Image]:
        if pair.a != pair.b:
            return {"a": read_image(pair.a), "b": read_image(pair.b)}
        image = read_image(pair.a)
        width, height = image.width // 2, image.height
        if image.width < height or width == 0:
            raise UnreadableImage(
                pair.a,
                f"expected two images side by side, got one of {image.width} x {height} pixels, higher than wide",
            )
        halves = [image.crop((left, 0, left + width, height)) for left in (0, width)]
        return dict(zip("ab", halves if self.left == "a" else halves[::-1], strict=True))


def _matched(a: Path, b: Path) -> list[_Pair]:
    """Images of two folders by their relative paths without suffixes, in a's order."""
    found = {
        folder: {path.relative_to(folder).with_suffix(""): path for path in find_images(folder)} for folder in (a, b)
    }
    for here, there in ((a, b), (b, a)):
        lonely = [path.name for name, path in found[here].items() if name not in found[there]]
        if lonely:
            raise DataError(
                f"{len(lonely)} of {len(found[here])} images in {here} have no partner of the same name in {there}: "
                f"{', '.join(lonely[:4])}{' ...' if len(lonely) > 4 else ''}"
            )
    return [_Pair(path, found[b][name]) for name, path in found[a].items()]
