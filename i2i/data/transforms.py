"""From an image to a training or test sample, as the reference implementations do it, in pure functions.

Training: horizontal flip, resize to a square without regard to the aspect ratio, random crop. Test: resize alone. The
order (flip before resize) and Pillow's antialiased bilinear filter are those of U-GAT-IT's official implementation.
Here images are resized first, so that resized ones can be kept; Pillow's filters give the same bits either way.
"""

from __future__ import annotations

from random import Random
from types import MappingProxyType
from typing import Literal, NamedTuple

from PIL import Image
from torch import Tensor

from i2i.core.bounds import ImageSize, height_width
from i2i.data.images import pixel_limit, to_tensor
from i2i.errors import DataError, OptionError

Resample = Literal["bilinear", "bicubic", "lanczos"]

FILTERS = MappingProxyType(
    {
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
    }
)


class FlipCrop(NamedTuple):
    """The random part of a training transform.

    Args:
        flipped: whether the image is mirrored left to right.
        top: first row of the crop in the resized and mirrored image.
        left: first column of the crop.
    """

    flipped: bool
    top: int
    left: int


def side_to_crop(size: int, load_size: int | None, margin: int) -> int:
    """Side to which an image is resized before a crop of `size`: `load_size`, or `size + margin` where that is None.

    Raises:
        OptionError: it is smaller than the crop.
    """
    if load_size is not None and load_size < size:
        raise OptionError("load_size", f"expected at least the size, {size}, got {load_size}")
    return size + margin if load_size is None else load_size


def draw_flip_crop(random: Random, size: int, load_size: int, flip: bool = True) -> FlipCrop:
    """Draws a flip with probability one half, and a crop uniformly.

    Args:
        random: generator of the numbers; three are drawn.
        size: side of the crop in pixels.
        load_size: side of the resized image in pixels.
        flip: whether a drawn flip counts; the crop does not depend on it.
    """
    # Python promises the same stream for the same seed in every version for random() only, not for randrange().
    flipped = random.random() < 0.5
    top, left = (int(random.random() * (load_size - size + 1)) for _ in range(2))
    return FlipCrop(flipped and flip, top, left)


def resized(image: Image.Image, side: int, resample: Resample = "bilinear") -> Image.Image:
    """Resizes an image to a square of `side` pixels, without regard to its aspect ratio."""
    return image.resize((side, side), FILTERS[resample])


def flip_crop(image: Image.Image, draw: FlipCrop, size: int) -> Tensor:
    """Flips a resized image and crops a square of `size` pixels.

    Args:
        image: mode RGB.
        draw: whether to flip, and where to crop.
        size: side of the crop in pixels.

    Returns:
        sample: [3, size, size] in [-1, 1].
    """
    flipped, top, left = draw
    left = image.width - size - left if flipped else left  # mirroring the small crop is cheaper than the image
    cropped = image.crop((left, top, left + size, top + size))
    return to_tensor(cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else cropped)


def eval_transform(image: Image.Image, size: ImageSize, resample: Resample = "bilinear") -> Tensor:
    """Resize an RGB image without regard to its aspect ratio: [3, size, size], or [3, *size], in [-1, 1]."""
    height, width = height_width(size)
    return to_tensor(image.resize((width, height), FILTERS[resample]))


def resize_short_side(image: Image.Image, size: int, multiple: int = 4, resample: Resample = "bilinear") -> Image.Image:
    """Resizes the shorter side to `size`, keeping the aspect ratio as far as multiples allow.

    Args:
        image: of any mode.
        size: of the shorter side in pixels.
        multiple: what both sides will divide by: generators halve an image and double it again, which gives back its
            size only for multiples.
        resample: Pillow's filter.

    Raises:
        DataError: the image is so long and narrow that it would become larger than the limit for reading images.
    """
    scale = size / min(image.size)
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in image.size)
    if width * height > pixel_limit():
        before = " x ".join(map(str, image.size))
        raise DataError(f"{before} pixels would become {width} x {height}, more than {pixel_limit()} in all")
    return image.resize((width, height), FILTERS[resample])
