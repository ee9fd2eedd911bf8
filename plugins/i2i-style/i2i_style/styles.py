"""The data set `styles`: a folder of contents, and a folder of a few numbered style images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge
from PIL import ImageOps
from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Augmentation, Stream
from i2i.core.factory import Factory
from i2i.data.base import ImageDataset
from i2i.data.folders import Folders
from i2i.data.images import as_path, find_images, read_image, to_tensor
from i2i.data.locations import Location
from i2i.data.sampler import epoch_order
from i2i.data.transforms import FILTERS, Resample
from i2i.errors import DataError


class Styles(ImageDataset):
    """Contents (a) as in the data set `folders`, and style images (b) with their numbers (style).

    Style images are numbered from 0 in the order of their names. Each run of N samples, N the number of styles, shows
    each style once, in a new order. Style images are neither flipped nor cropped at random.

    Args:
        a: folder of contents.
        b: folder of style images, or one image.
        test_a: folder of contents for previews; None uses the first ones of `a`.
        size: side of the contents in pixels.
        style_size: side of the style images, whose centre square is taken; None is `size`.
        load_size: as for `folders`, for the contents.
        margin: as for `folders`, for the contents.
        flip: as for `folders`, for the contents.
        resample: filter for contents and styles.
        augment: augmentations of the contents.
        seed: seed of order and augmentation, >= 0.
        cache: MiB of memory for resized contents.

    Raises:
        DataError: a folder is missing or holds no image, or a style image cannot be read; skipping it would change the
            numbers of the others.
    """

    def __init__(
        self,
        a: Location | None = None,
        b: Location | None = None,
        test_a: Location | None = None,
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
        a, b, test_a = map(as_path, (a, b, test_a))
        if a is None or b is None:
            raise DataError("expected contents and styles: give data.a, a folder, and data.b, a folder or one image")
        self.contents = Folders(a, a, None, test_a, None, size, load_size, margin, flip, resample, augment, seed, cache)
        self.files = [b] if b.is_file() else find_images(b)
        self.size, self.style_size = size, style_size or size
        self.images = torch.stack([_centre_square(path, self.style_size, resample) for path in self.files])
        self.styles, self.seed = len(self.files), seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare contents and styles, each in its size, and `style`, the number of b's style."""
        style_size = options["style_size"] or options["size"]
        return {
            **super().declare_streams(options),
            "b": Stream("image", 3, (style_size, style_size)),
            "style": Stream("label", options.get("styles", 0)),  # their number is known once the folder was read
        }

    def __len__(self) -> int:
        """Return the number of contents, which is the length of an epoch; the stream of samples itself is endless."""
        return len(self.contents)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return sample `number` >= 0 of the stream.

        Returns:
            "a" [3, size, size] and "b" [3, style_size, style_size] in [-1, 1]; "style", the number of b's style, [];
            and "skipped", a line for each damaged content that was replaced.
        """
        epoch, index = divmod(number, self.styles)
        style = int(epoch_order(self.seed, "style", epoch, self.styles)[index])
        return {**self.contents[number], "b": self.images[style], "style": torch.tensor(style)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first contents as squares, and the first style images in the same size."""
        contents = self.contents.preview(count)["a"]
        side = contents.shape[-1]
        styles = [_centre_square(path, side, self.contents.resample) for path in self.files[:count]]
        return {"a": contents, "b": torch.stack(styles)}


def _centre_square(path: Path, side: int, resample: Resample) -> Tensor:
    """Return an image's centre square, [3, side, side] in [-1, 1]."""
    return to_tensor(ImageOps.fit(read_image(path), (side, side), FILTERS[resample]))
