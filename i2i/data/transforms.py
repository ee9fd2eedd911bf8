"""From an image to a training or test sample, in pure functions and one object that holds their options.

Training, as the reference implementations do it: horizontal flip, resize to a square without regard to the aspect
ratio, random crop. Test: resize alone. The order (flip before resize) and Pillow's antialiased bilinear filter are
those of U-GAT-IT's official implementation. Here images are resized first, so that resized ones can be kept; Pillow's
filters give the same bits either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.core.bounds import ImageSize, describe_size, height_width
from i2i.data.decoding import pixel_limit
from i2i.data.pixels import Pixels, crop, mirrored, size_of, to_tensor
from i2i.data.tensorflow_resize import bilinear_tf1
from i2i.errors import DataError, OptionError

Resample = Literal["bilinear", "bicubic", "lanczos", "bilinear_tf1"]
"""Pillow's antialiased filters, or the bilinear one of TensorFlow 1, see `SampleTransform`."""
ResizeMode = Literal["square", "short_side", "fit", "none"]
"""How an image becomes as large as the crop needs, see `SampleTransform`."""
_Side = Annotated[int, Ge(8)]
SampleSize = _Side | tuple[_Side, _Side]
"""Side of square samples, or their height and width, in pixels."""

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


@dataclass(frozen=True)
class SampleTransform:
    """The transform from images to samples, in a part that is always the same and a random one.

    `resized` is the first part, whose result can be kept. `draw` draws the second one and `cut` applies it, so that
    several images, such as a photo and its mask, can be given the same flip and crop.

    Args:
        size: height and width of a sample in pixels.
        load_size: height and width to which an image is resized before the random crop.
        resize: `square` resizes to `load_size` without regard to the aspect ratio; `short_side` keeps the ratio and
            covers `load_size`; `fit` keeps it, stays inside `load_size` and is padded by reflection; `none` crops at
            the image's own resolution.
        flip: whether half of the samples are mirrored left to right.
        resample: Pillow's filter for resizing; or `bilinear_tf1`, with which a training image is resized to `size`,
            then flipped, resized to `load_size` and cropped, as in U-GAT-IT's TensorFlow code.
    """

    size: tuple[int, int]
    load_size: tuple[int, int]
    resize: ResizeMode = "square"
    flip: bool = True
    resample: Resample = "bilinear"

    @classmethod
    def of(
        cls,
        size: ImageSize,
        load_size: ImageSize | None = None,
        margin: int = 0,
        resize: ResizeMode = "square",
        flip: bool = True,
        resample: Resample = "bilinear",
    ) -> SampleTransform:
        """Make a transform from a data set's options.

        Raises:
            OptionError: `load_size` is smaller than `size`.
        """
        return cls(height_width(size), size_to_crop(size, load_size, margin), resize, flip, resample)

    @property
    def varies(self) -> bool:
        """Whether images of different sizes keep different sizes when they are resized."""
        return self.resize in ("short_side", "none")

    def resized(self, image: Pixels, nearest: bool = False) -> Pixels:
        """Apply the part of the transform that is not random.

        Args:
            image: as it was read.
            nearest: whether values must not be mixed, as those of labels.

        Raises:
            DataError: the image is smaller than the crop and not resized, or would become larger than the limit.
        """
        return self._resized(image, self.size if self._resizes_twice else self.load_size, nearest)

    @property
    def _resizes_twice(self) -> bool:
        # TensorFlow's grid is not symmetric, so the flip has to come between the two.
        return self.resample == "bilinear_tf1" and self.resize == "square"

    def draw(self, random: Random, size: tuple[int, int] | None = None) -> FlipCrop:
        """Draw a flip and a crop.

        Args:
            random: generator of the numbers; three are drawn.
            size: height and width of the resized image; `load_size` when None.
        """
        resized = self.load_size if self._resizes_twice else size or self.load_size
        return draw_flip_crop(random, self.size, resized, self.flip)

    def cut(self, image: Pixels, draw: FlipCrop) -> Pixels:
        """Apply a drawn flip and crop to a resized image."""
        if self._resizes_twice:
            image = mirrored(image) if draw.flipped else image
            is_label = not isinstance(image, Image.Image) and image.dtype.kind in "iu"
            image = resized(image, self.load_size, "nearest" if is_label else self.resample)
            return crop(image, draw.top, draw.left, *self.size)
        return cut(image, draw, self.size)

    def preview(self, image: Pixels, nearest: bool = False) -> Pixels:
        """Resize an image to a sample without any random part: whole, or its centre where the aspect is kept."""
        resized = self._resized(image, self.size, nearest)
        height, width = size_of(resized)
        top, left = (height - self.size[0]) // 2, (width - self.size[1]) // 2
        return resized if (height, width) == self.size else crop(resized, top, left, *self.size)

    def _resized(self, image: Pixels, target: tuple[int, int], nearest: bool) -> Pixels:
        height, width = size_of(image)
        if self.resize == "square":
            return resized(image, target, "nearest" if nearest else self.resample)
        if self.resize == "none":
            if height < self.size[0] or width < self.size[1]:
                raise DataError(
                    f"it has {width} x {height} pixels, fewer than a sample of {self.size[1]} x {self.size[0]}; with "
                    f"data.resize = 'none' images are not enlarged"
                )
            return image
        scales = target[0] / height, target[1] / width
        scale = max(scales) if self.resize == "short_side" else min(scales)
        bound = max if self.resize == "short_side" else min
        # Rounding must neither leave the crop without a last row, nor exceed the space to pad.
        sides = (bound(round(height * scale), target[0]), bound(round(width * scale), target[1]))
        check_limit((height, width), sides)
        scaled = resized(image, (max(1, sides[0]), max(1, sides[1])), "nearest" if nearest else self.resample)
        return scaled if self.resize == "short_side" else padded(scaled, target)


def size_to_crop(size: ImageSize, load_size: ImageSize | None, margin: int) -> tuple[int, int]:
    """Return height and width before a crop of `size`: `load_size`, or `size + margin` where that is None.

    Raises:
        OptionError: they are smaller than the crop.
    """
    height, width = height_width(size)
    if load_size is None:
        return height + margin, width + margin
    loaded = height_width(load_size)
    if loaded[0] < height or loaded[1] < width:
        least, got = describe_size(size), describe_size(load_size)
        raise OptionError("load_size", f"expected at least the size, {least}, got {got}")
    return loaded


def draw_flip_crop(random: Random, size: ImageSize, load_size: ImageSize, flip: bool = True) -> FlipCrop:
    """Draw a flip with probability one half, and a crop uniformly.

    Args:
        random: generator of the numbers; three are drawn.
        size: height and width of the crop in pixels.
        load_size: height and width of the resized image in pixels.
        flip: whether a drawn flip counts; the crop does not depend on it.
    """
    # Python promises the same stream for the same seed in every version for random() only, not for randrange().
    flipped = random.random() < 0.5
    rooms = (whole - part + 1 for whole, part in zip(height_width(load_size), height_width(size), strict=True))
    top, left = (int(random.random() * room) for room in rooms)
    return FlipCrop(flipped and flip, top, left)


def resized(image: Pixels, size: ImageSize, resample: Resample | Literal["nearest"] = "bilinear") -> Pixels:
    """Resize an image to height and width, without regard to its aspect ratio.

    Channels of arrays are resized one at a time by Pillow in float32; results of filters that overshoot are clipped to
    the values of the image. `nearest` mixes no values, and keeps those of labels.
    """
    height, width = height_width(size)
    if resample == "nearest":
        if isinstance(image, Image.Image):
            return image.resize((width, height), Image.Resampling.NEAREST)
        rows = ((np.arange(height) + 0.5) * image.shape[0] / height).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * image.shape[1] / width).astype(np.int64)
        picked: NDArray[Any] = image[rows[:, None], columns]
        return picked
    if resample == "bilinear_tf1":
        if not isinstance(image, Image.Image):
            return bilinear_tf1(image, (height, width))
        values = bilinear_tf1(np.asarray(image).reshape(image.height, image.width, -1), (height, width))
        return values / np.float32(127.5) - 1
    if isinstance(image, Image.Image):
        return image.resize((width, height), FILTERS[resample])
    if image.shape[:2] == (height, width):
        return image
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize((width, height), FILTERS[resample]))
        for channel in image.astype(np.float32, copy=False).transpose(2, 0, 1)
    ]
    clipped: NDArray[Any] = np.clip(np.stack(channels, 2), image.min(), image.max())
    return clipped


def padded(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Pad an image to height and width by reflection, with the image in the centre."""
    height, width = size_of(image)
    if (height, width) == size:
        return image
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    sides = ((top, size[0] - height - top), (left, size[1] - width - left), (0, 0))
    values = np.asarray(image).reshape(height, width, -1)
    filled: NDArray[Any] = np.pad(values, sides, mode="reflect")
    if not isinstance(image, Image.Image):
        return filled
    return Image.fromarray(filled[..., 0] if image.mode == "L" else filled)


def cut(image: Pixels, draw: FlipCrop, size: ImageSize) -> Pixels:
    """Flip a resized image and crop it.

    Args:
        image: resized.
        draw: whether to flip, and where to crop.
        size: height and width of the crop in pixels.
    """
    flipped, top, left = draw
    height, width = height_width(size)
    left = size_of(image)[1] - width - left if flipped else left  # mirroring the small crop is cheaper than the image
    cropped = crop(image, top, left, height, width)
    return mirrored(cropped) if flipped else cropped


def flip_crop(image: Pixels, draw: FlipCrop, size: ImageSize) -> Tensor:
    """Flip a resized image, crop it, and convert it to a tensor.

    Args:
        image: RGB or grey, or an array [H, W, C] in [-1, 1].
        draw: whether to flip, and where to crop.
        size: height and width of the crop in pixels.

    Returns:
        sample: [C, H, W] in [-1, 1].
    """
    return to_tensor(cut(image, draw, size))


def eval_transform(image: Pixels, size: ImageSize, resample: Resample | Literal["nearest"] = "bilinear") -> Tensor:
    """Resize an image without regard to its aspect ratio: [C, size, size], or [C, *size], in [-1, 1]."""
    return to_tensor(resized(image, size, resample))


def resize_short_side(
    image: Pixels, size: int, multiple: int = 4, resample: Resample | Literal["nearest"] = "bilinear"
) -> Pixels:
    """Resize the shorter side to `size`, keeping the aspect ratio as far as multiples allow.

    Args:
        image: of any mode, or an array.
        size: of the shorter side in pixels.
        multiple: what both sides will divide by: generators halve an image and double it again, which gives back its
            size only for multiples.
        resample: Pillow's filter.

    Raises:
        DataError: the image is so long and narrow that it would become larger than the limit for reading images.
    """
    before = size_of(image)
    scale = size / min(before)
    height, width = (max(1, round(side * scale / multiple)) * multiple for side in before)
    check_limit(before, (height, width))
    return resized(image, (height, width), resample)


def check_limit(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Check that an image does not become larger than the limit for reading images when it is resized.

    Raises:
        DataError: it does, because it is very long and narrow.
    """
    if after[0] * after[1] > pixel_limit():
        raise DataError(
            f"{before[1]} x {before[0]} pixels would become {after[1]} x {after[0]}, more than {pixel_limit()} in all"
        )
