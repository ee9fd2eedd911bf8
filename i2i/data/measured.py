"""Images that translators are measured on: those held out by a data set, or newly drawn ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

from torch import Tensor

Split = Literal["val", "test"]
DRAWN = 64
"""Number of samples of data sets that draw them, or that have nothing but a preview."""


class MeasuredImages(NamedTuple):
    """Images to measure on.

    Args:
        images: by domain, a sequence of images [C, H, W] in [-1, 1], which are read when they are asked for.
        paired: whether the images of one index show the same in all domains.
        split: where they come from: `val`, `test`, `train` or `drawn`.
    """

    images: Mapping[str, Sequence[Tensor]]
    paired: bool
    split: str

    def note(self, wanted: str) -> str:
        """Return what must be said where the images are not those that were asked for; empty if they are."""
        if self.split == "train":
            return "there are neither validation nor test images, so figures are those of training images"
        if wanted == "val" and self.split == "test":
            return "there are no validation images, so figures and the choice of a step are those of the test images"
        if wanted == "test" and self.split == "val":
            return "there are no test images, so figures are those of the validation images"
        return ""


class First(Sequence[Tensor]):
    """The first images of a sequence, still read when they are asked for.

    Args:
        images: the sequence.
        limit: number of images at most; all when None.
    """

    def __init__(self, images: Sequence[Tensor], limit: int | None) -> None:
        self.images, self.length = images, len(images) if limit is None else min(limit, len(images))

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.length))]
        return self.images[range(self.length)[index]]


def images_to_measure(dataset: Any, split: Split = "val", limit: int | None = None) -> MeasuredImages:
    """Return the images of a data set that it is measured on.

    Images that are held out (`held_out`) come first, of the other split where there are none; then newly drawn pairs
    (`pairs`), and at last those of the preview.

    Args:
        dataset: the data set.
        split: `val` or `test`.
        limit: number of images of each domain; all when None.

    Raises:
        DataError: an image cannot be read.
    """
    if hasattr(dataset, "held_out"):
        for name in (split, "test" if split == "val" else "val"):
            held = dataset.held_out(name)
            if held and all(domain in held for domain in dataset.domains):
                images = {domain: First(held[domain], limit) for domain in dataset.domains}
                return MeasuredImages(images, bool(getattr(dataset, "paired", False)), name)
    count = DRAWN if limit is None else limit
    if hasattr(dataset, "pairs"):
        drawn = dataset.pairs(count)
        return MeasuredImages(
            {domain: list(drawn[domain]) for domain in dataset.domains if domain in drawn}, True, "drawn"
        )
    preview = dataset.preview(count)
    paired = bool(getattr(dataset, "paired", False))
    return MeasuredImages({domain: list(images) for domain, images in preview.items()}, paired, "train")


def has_ground_truth(dataset: Any) -> bool:
    """Return whether a data set, or its class, has pairs to compare translations with."""
    return hasattr(dataset, "pairs") or bool(getattr(dataset, "paired", False))
