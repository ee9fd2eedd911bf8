"""Patches of one image for each domain."""

from __future__ import annotations

from random import Random
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import describe_size, height_width
from i2i.data.base import Channels, ImageDataset, ValueRange, check_formats, pixel_formats
from i2i.data.decoding import Page
from i2i.data.images import as_path
from i2i.data.locations import Location, not_given
from i2i.data.pixels import Pixels, crop, mirrored, size_of, to_tensor
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample, SampleSize, eval_transform, resized
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
        size: height and width of a patch in pixels; one number for a square.
        zoom: largest factor by which an image is shrunk, drawn for width and height independently, >= 1.
        group: consecutive samples that share a zoom; best the batch size.
        flip: whether half of the patches are mirrored left to right.
        resample: Pillow's filter for resizing.
        seed: of zooms, places and flips, >= 0.
        channels: channels of the images; a table such as `{ a = 1, b = 5 }` where domains differ.
        range: stored values that become -1 and 1, or a table where domains differ; see `folders`.
        percentiles: percentiles of an image's values that become -1 and 1, in place of `range`.
        page: page of a file that has several; see `folders`.
        srgb: whether images with an embedded colour profile are converted to sRGB.

    Raises:
        DataError: an image is missing, cannot be read, or is smaller than a patch.
        OptionError: `range` or `percentiles` cannot be meant.

    Source: SinCUT, Park et al., ECCV 2020, arXiv:2007.15651, section 4.4.
    """

    paired = False

    def __init__(
        self,
        a: Location | None = None,
        b: Location | None = None,
        size: SampleSize = 64,
        zoom: Annotated[float, Ge(1)] = 3.0,
        group: Annotated[int, Ge(1)] = 16,
        flip: bool = True,
        resample: Resample = "bilinear",
        seed: Annotated[int, Ge(0)] = 0,
        channels: Channels = 3,
        range: ValueRange | None = None,
        percentiles: ValueRange | None = None,
        page: Page = None,
        srgb: bool = True,
    ) -> None:
        self.check(channels, range, percentiles)
        self.size, self.zoom, self.group, self.flip, self.resample, self.seed = size, zoom, group, flip, resample, seed
        self.channels = channels
        self.formats = pixel_formats(self.domains, channels, range, percentiles, page, srgb)
        self._sides = height_width(size)
        paths = {"a": as_path(a), "b": as_path(b)}
        if None in paths.values():
            raise not_given("single_image", [f"data.{name}" for name, path in paths.items() if path is not None])
        self.images = {domain: self.formats[domain].read(path) for domain, path in paths.items() if path is not None}
        for domain, image in self.images.items():
            if any(side < patch for side, patch in zip(size_of(image), self._sides, strict=True)):
                sides = " x ".join(map(str, size_of(image)[::-1]))
                raise DataError(
                    f"data.{domain}: expected an image of at least {describe_size(size)} px, the size of a patch, got "
                    f"{sides}"
                )
        self._last: dict[str, tuple[int, Pixels]] = {}

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

    def __len__(self) -> int:
        """Patches that count as one epoch."""
        return PATCHES_PER_EPOCH

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: "a" and "b", [C, H, W] in [-1, 1]."""
        return {domain: to_tensor(self._patch(domain, number)) for domain in self.domains}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Both images whole, [1, C, 4 * H, 4 * W]; `count` is not used, for there is one image each."""
        sides = (PATCHES_PER_PREVIEW * self._sides[0], PATCHES_PER_PREVIEW * self._sides[1])
        return {domain: eval_transform(self.images[domain], sides, self.resample)[None] for domain in self.domains}

    def _patch(self, domain: str, number: int) -> Pixels:
        group, place = divmod(number, self.group)
        zoomed = self._zoomed(domain, group)
        height, width = self._sides
        whole_height, whole_width = size_of(zoomed)
        columns, rows = whole_width // width, whole_height // height
        # Patches lie on a grid, so that those of a group do not overlap; the grid is moved at random for each group.
        random = Random(f"{self.seed} {domain} {group} grid")
        left, top = (int(random.random() * (room + 1)) for room in (whole_width % width, whole_height % height))
        cell = int(epoch_order(self.seed, domain, group, columns * rows)[place % (columns * rows)])
        patch = crop(zoomed, top + cell // columns * height, left + cell % columns * width, height, width)
        flipped = self.flip and Random(f"{self.seed} {domain} {number} flip").random() < 0.5
        return mirrored(patch) if flipped else patch

    def _zoomed(self, domain: str, group: int) -> Pixels:
        last = self._last.get(domain)
        if last is None or last[0] != group:
            random = Random(f"{self.seed} {domain} {group} zoom")
            shares = [1 / self.zoom + random.random() * (1 - 1 / self.zoom) for _ in range(2)]  # of width and height
            image = self.images[domain]
            height, width = (
                max(patch, round(side * share))
                for patch, side, share in zip(self._sides, size_of(image), reversed(shares), strict=True)
            )
            last = self._last[domain] = (group, resized(image, (height, width), self.resample))
        return last[1]
