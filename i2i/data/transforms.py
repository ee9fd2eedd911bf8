"""The references' way from an image to a training or test sample, as pure functions.

Training: horizontal flip, resize to a square without regard to the aspect, random crop. Test: resize alone. The order
(flip before resize) and Pillow's antialiased bilinear filter are those of U-GAT-IT's official code. Here images are
resized first, so that resized ones can be kept; Pillow's filters give the same bits either way.
"""

from __future__ import annotations

from random import Random
from types import MappingProxyType
from typing import Literal, NamedTuple

from PIL import Image
from torch import Tensor

from i2i.data.images import to_tensor
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
    """One draw of the random part of `train_transform`.

    Args:
        flipped: whether left and right change places.
        top, left: the crop's corner in the resized image, in pixels.
    """

    flipped: bool
    top: int
    left: int


def side_to_crop(size: int, load_size: int | None, margin: int) -> int:
    """Side to which an image is resized before a crop of `size`: `load_size`, or `size + margin` where that is None.

    Raises:
        OptionError: smaller than the crop.
    """
    if load_size is not None and load_size < size:
        raise OptionError("load_size", f"expected at least the size, {size}, got {load_size}")
    return size + margin if load_size is None else load_size


def draw_flip_crop(random: Random, size: int, load_size: int, flip: bool = True) -> FlipCrop:
    """Draws a flip with probability one half and a crop of `size` uniformly inside `load_size`, both in pixels."""
    # Python promises the same stream for the same seed in every version for random() only, not for randrange().
    flipped = random.random() < 0.5
    top, left = (int(random.random() * (load_size - size + 1)) for _ in range(2))
    return FlipCrop(flipped and flip, top, left)


def resized(image: Image.Image, side: int, resample: Resample = "bilinear") -> Image.Image:
    """An image as a square of `side` pixels, without regard to its aspect."""
    return image.resize((side, side), FILTERS[resample])


def flip_crop(image: Image.Image, draw: FlipCrop, size: int) -> Tensor:
    """Flips a resized image and crops `size` squared: [3, size, size] in [-1, 1]."""
    flipped, top, left = draw
    left = image.width - size - left if flipped else left  # the same place, found before turning what is cropped
    cropped = image.crop((left, top, left + size, top + size))
    return to_tensor(cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else cropped)


def flip_resize_crop(
    image: Image.Image, draw: FlipCrop, size: int, load_size: int, resample: Resample = "bilinear"
) -> Tensor:
    """Flips, resizes to `load_size` squared, and crops `size` squared.

    Args:
        image: mode RGB, of any size.

    Returns:
        sample: [3, size, size] in [-1, 1].
    """
    return flip_crop(resized(image, load_size, resample), draw, size)


def train_transform(
    image: Image.Image, random: Random, size: int, load_size: int, flip: bool = True, resample: Resample = "bilinear"
) -> Tensor:
    """`flip_resize_crop` with a fresh draw: RGB image to [3, size, size] in [-1, 1]."""
    return flip_resize_crop(image, draw_flip_crop(random, size, load_size, flip), size, load_size, resample)


def eval_transform(image: Image.Image, size: int, resample: Resample = "bilinear") -> Tensor:
    """Resizes without regard to the aspect: RGB image to [3, size, size] in [-1, 1]."""
    return to_tensor(image.resize((size, size), FILTERS[resample]))


def resize_short_side(image: Image.Image, size: int, multiple: int = 4, resample: Resample = "bilinear") -> Image.Image:
    """Resizes the shorter side to `size`, keeping the aspect as far as both sides stay multiples of `multiple`.

    Generators halve the image some times and double it again, which gives back the size only for multiples.

    Raises:
        DataError: a strip of an image, which would become larger than Pillow reads images.
    """
    scale = size / min(image.size)
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in image.size)
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        before = " x ".join(map(str, image.size))
        raise DataError(f"{before} pixels would become {width} x {height}, more than {Image.MAX_IMAGE_PIXELS} in all")
    return image.resize((width, height), FILTERS[resample])
