"""A folder of contents and a folder of a few style images, whose numbers go along with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge
from PIL import Image, ImageOps
from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Augmentation, Stream
from i2i.core.factory import Factory
from i2i.data.base import ImageDataset
from i2i.data.folders import Folders
from i2i.data.images import find_images, read_image, to_tensor
from i2i.data.sampler import epoch_order
from i2i.data.transforms import FILTERS, Resample
from i2i.errors import DataError


class Styles(ImageDataset):
    """Contents (a) as `folders` gives them, and style images (b) whole, with their numbers.

    Style images are numbered from 0 in the order of their names. Every so many samples as there are show all of them
    in a new order. They are neither mirrored nor cropped at random: the whole image is the style.

    Args:
        a: the folder of contents.
        b: the folder of style images, or one image.
        test_a: folder of contents for previews; without it the first ones of `a` serve.
        size: side of a sample in pixels.
        style_size: side of a style image, whose middle square is taken; `size` where it is None.
        load_size, margin, flip, resample, augment, cache: of contents, as for `folders`.
        seed: of order and augmentation, >= 0.

    Raises:
        DataError: a folder is missing, holds no image, or a style image cannot be read: their numbers would change.
    """

    def __init__(
        self,
        a: Path | None = None,
        b: Path | None = None,
        test_a: Path | None = None,
        size: Annotated[int, Ge(8)] = 256,
        style_size: Annotated[int, Ge(8)] | None = None,
        load_size: int | None = None,
        margin: Annotated[int, Ge(0)] = 30,
        flip: bool = True,
        resample: Resample = "bilinear",
        augment: tuple[Factory[Augmentation], ...] = (),
        seed: Annotated[int, Ge(0)] = 0,
        cache: Count = 1024,
    ) -> None:
        if a is None or b is None:
            raise DataError("expected contents and styles: give data.a, a folder, and data.b, a folder or one image")
        self.contents = Folders(a, a, None, test_a, None, size, load_size, margin, flip, resample, augment, seed, cache)
        self.files = [b] if b.is_file() else find_images(b)
        self.size, self.style_size = size, style_size or size
        self.images = torch.stack([_middle(read_image(path), self.style_size, resample) for path in self.files])
        self.styles, self.seed = len(self.files), seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Contents and styles, each in its size, and `style`, the number of the style that b shows."""
        style_size = options["style_size"] or options["size"]
        return {
            **super().declare_streams(options),
            "b": Stream("image", 3, (style_size, style_size)),
            "style": Stream("label", options.get("styles", 0)),  # their number is known once the folder was read
        }

    def __len__(self) -> int:
        """Contents, which is what an epoch is; the stream of samples itself has no end."""
        return len(self.contents)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0 of the stream.

        Returns:
            sample: "a" [3, size, size] and "b" [3, style_size, style_size] in [-1, 1]; "style", b's number, []; and
            "skipped", a line for each damaged content in its way.
        """
        epoch, place = divmod(number, self.styles)
        style = int(epoch_order(self.seed, "style", epoch, self.styles)[place])
        return {**self.contents[number], "b": self.images[style], "style": torch.tensor(style)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """The first contents as squares, and the first style images in the same size."""
        contents = self.contents.preview(count)["a"]
        side = contents.shape[-1]
        styles = [_middle(read_image(path), side, self.contents.resample) for path in self.files[:count]]
        return {"a": contents, "b": torch.stack(styles)}


def _middle(image: Image.Image, side: int, resample: Resample) -> Tensor:
    """The image's middle square: [3, side, side] in [-1, 1]."""
    return to_tensor(ImageOps.fit(image, (side, side), FILTERS[resample]))
