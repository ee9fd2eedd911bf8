"""Images that are held back from training, and the split that holds a share of them back."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Annotated, TypeVar, overload

from pydantic import Field
from torch import Tensor

from i2i.data.files import ImageFiles
from i2i.data.pixels import Pixels, to_tensor

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, lt=1)]


class HeldOut(Sequence[Tensor]):
    """Images of a domain, transformed as for previews, and read when they are indexed.

    Args:
        files: the items.
        place: of the domain's image in an item.
        transform: from an image to a sample without any random part.
        to_sample: from what `transform` returns to a tensor.
    """

    def __init__(
        self,
        files: ImageFiles,
        place: int,
        transform: Callable[[Pixels], Pixels],
        to_sample: Callable[[Pixels], Tensor] = to_tensor,
    ) -> None:
        self.files, self._place, self._transform, self._to_sample = files, place, transform, to_sample

    @property
    def names(self) -> list[str]:
        """The file of each image; both halves of a side-by-side image have one."""
        return [str(item[min(self._place, len(item) - 1)]) for item in self.files.items]

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        """An image [C, H, W] in [-1, 1], or several.

        Raises:
            UnreadableImage: its file is damaged.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._to_sample(self._transform(self.files[range(len(self))[index]][self._place]))


def split_share(items: Sequence[T], paths: Sequence[PurePath], share: float) -> tuple[list[T], list[T]]:
    """Splits items into those for training and those for validation.

    The split follows from the paths alone: not from seeds, the order of files, or other folders. Images of two domains
    with equal paths, apart from the suffix, are on the same side where the domains are equally large.

    Args:
        items: what is split.
        paths: path of each item inside its folder.
        share: of the items for validation, rounded, but at least one and not all; 0 for none.

    Returns:
        training: in the given order.
        validation: in the given order.
    """
    count = min(max(1, round(share * len(items))), len(items) - 1) if share else 0

    def key(number: int) -> bytes:
        name = unicodedata.normalize("NFC", paths[number].with_suffix("").as_posix())
        return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()

    chosen = set(sorted(range(len(items)), key=key)[:count])
    sides: tuple[list[T], list[T]] = ([], [])
    for number, item in enumerate(items):
        sides[number in chosen].append(item)
    return sides
