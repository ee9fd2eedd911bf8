"""Patches of one image for each domain."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Annotated

from annotated_types import Ge
from PIL import Image
from torch import Tensor

from i2i.data.base import ImageDataset
from i2i.data.images import as_path, read_image, to_tensor
from i2i.data.locations import not_given
from i2i.data.sampler import epoch_order
from i2i.data.transforms import FILTERS, Resample, eval_transform
from i2i.errors import DataError

PATCHES_PER_EPOCH = 100_000
"""As in the official implementation."""
PATCHES_PER_PREVIEW = 4
"""Side of a preview, in patches."""


class SingleImage(ImageDataset):
    """Two unpaired domains of one image each; samples are patches of the image, which is shrunk at random.

    Samples come in groups: those of a group share a zoom and show different places, which a loss that compares patches
    of a batch needs. A sample depends on the arguments and its number alone.

    Args:
        a: domain a's image.
        b: domain b's image.
        size: height and width of a patch in pixels.
        zoom: largest factor by which an image is shrunk, drawn for width and height independently, >= 1.
        group: consecutive samples that share a zoom; best the batch size.
        flip: whether half of the patches are mirrored left to right.
        resample: Pillow's filter for resizing.
        seed: of zooms, places and flips, >= 0.

    Raises:
        DataError: an image is missing, cannot be read, or is smaller than a patch.

    Source: SinCUT, Park et al., ECCV 2020, arXiv:2007.15651, section 4.4.
    """

    def __init__(
        self,
        a: Path | None = None,
        b: Path | None = None,
        size: Annotated[int, Ge(8)] = 64,
        zoom: Annotated[float, Ge(1)] = 3.0,
        group: Annotated[int, Ge(1)] = 16,
        flip: bool = True,
        resample: Resample = "bilinear",
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.zoom, self.group, self.flip, self.resample, self.seed = size, zoom, group, flip, resample, seed
        paths = {"a": as_path(a), "b": as_path(b)}
        if None in paths.values():
            raise not_given("single_image", [f"data.{name}" for name, path in paths.items() if path is not None])
        self.images = {domain: read_image(path) for domain, path in paths.items() if path is not None}
        for domain, image in self.images.items():
            if min(image.size) < size:
                sides = " x ".join(map(str, image.size))
                raise DataError(
                    f"data.{domain}: expected an image of at least {size} px, the size of a patch, got {sides}"
                )
        self._last: dict[str, tuple[int, Image.Image]] = {}

    def __len__(self) -> int:
        """Patches that count as one epoch."""
        return PATCHES_PER_EPOCH

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: "a" and "b", [3, size, size] in [-1, 1]."""
        return {domain: to_tensor(self._patch(domain, number)) for domain in self.domains}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Both images whole, [1, 3, 4 * size, 4 * size]; `count` is not used, for there is one image each."""
        side = PATCHES_PER_PREVIEW * self.size
        return {domain: eval_transform(self.images[domain], side, self.resample)[None] for domain in self.domains}

    def _patch(self, domain: str, number: int) -> Image.Image:
        group, place = divmod(number, self.group)
        zoomed = self._zoomed(domain, group)
        columns, rows = (side // self.size for side in zoomed.size)
        # Patches lie on a grid, so that those of a group do not overlap; the grid is moved at random for each group.
        random = Random(f"{self.seed} {domain} {group} grid")
        left, top = (int(random.random() * (side % self.size + 1)) for side in zoomed.size)
        cell = int(epoch_order(self.seed, domain, group, columns * rows)[place % (columns * rows)])
        left, top = left + cell % columns * self.size, top + cell // columns * self.size
        patch = zoomed.crop((left, top, left + self.size, top + self.size))
        mirrored = self.flip and Random(f"{self.seed} {domain} {number} flip").random() < 0.5
        return patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else patch

    def _zoomed(self, domain: str, group: int) -> Image.Image:
        last = self._last.get(domain)
        if last is None or last[0] != group:
            random = Random(f"{self.seed} {domain} {group} zoom")
            shares = [1 / self.zoom + random.random() * (1 - 1 / self.zoom) for _ in range(2)]
            image = self.images[domain]
            width, height = (
                max(self.size, round(side * share)) for side, share in zip(image.size, shares, strict=True)
            )
            last = self._last[domain] = (group, image.resize((width, height), FILTERS[self.resample]))
        return last[1]
