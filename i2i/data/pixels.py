"""Decoded images as networks need them: the wanted channels, and the stored values that become -1 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.data.decoding import Decoded, ImageFile, Page, UnreadableImage, decode
from i2i.data.modes import composite, to_srgb
from i2i.errors import DataError

Pixels = Image.Image | NDArray[Any]
"""An image on its way from the file to the tensor.

A Pillow image of mode RGB or L where the file has 8 bits per sample and black and white are 0 and 255: it takes the
least memory, and Pillow's filters are those of the official implementations. Anything else is an array [H, W, C]:
float32 in [-1, 1] for images, integers for labels.
"""
_GREY = np.array([0.299, 0.587, 0.114])
"""ITU-R 601, as Pillow converts RGB to grey."""
_MOST_OUTSIDE = 0.5
"""Share of an image's values outside the given range from which on the range cannot be meant."""
EIGHT_BITS = (0.0, 255.0)
_DEEP_SUFFIXES = (".png", ".tif", ".tiff", ".pgm", ".ppm", ".npy", ".npz", ".jp2")


@dataclass(frozen=True)
class PixelFormat:
    """How the files of a stream are read.

    Args:
        channels: channels C of the image. Grey and RGB are converted to each other; opacity is composited over white
            where it is not among the channels.
        range: stored values that become -1 and 1; values outside are clipped. None takes what the file says, or the
            type: 0 to 255, 0 to 65535, and 0 to 1 for floats.
        percentiles: lowest and highest percentile of the values of each image, which become -1 and 1, in place of
            `range`.
        page: page of a file that has several.
        srgb: whether images with a colour profile are converted to sRGB.
    """

    channels: int = 3
    range: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None
    page: Page = None
    srgb: bool = True

    def read(self, file: ImageFile) -> Pixels:
        """Read an image.

        Raises:
            UnreadableImage: the file is damaged, or has other channels or values.
        """
        decoded = decode(file, self.page, self.channels)
        try:
            return self.convert(decoded)
        except DataError as error:
            raise UnreadableImage(file, str(error)) from error

    def convert(self, decoded: Decoded) -> Pixels:
        """Convert a decoded image.

        Returns:
            pixels: a Pillow image of mode RGB or L, or float32 [H, W, C] in [-1, 1].

        Raises:
            DataError: other channels, or values that the range cannot mean.
        """
        image = decoded.pixels
        if isinstance(image, Image.Image):
            image = to_srgb(image) if self.srgb else image
            image = _with_bands(image, self.channels)
            if self.channels in (1, 3) and self.range in (None, EIGHT_BITS) and self.percentiles is None:
                return image
            image = np.asarray(image).reshape(image.height, image.width, -1)
            decoded = Decoded(image, EIGHT_BITS, image.shape[2] in (2, 4))
        low, high = self.window(decoded)
        return _with_channels(scale(image, low, high), decoded.alpha, self.channels)

    def window(self, decoded: Decoded) -> tuple[float, float]:
        """Return the values of an image that become -1 and 1.

        Raises:
            DataError: the image has values that the range cannot mean.
        """
        if isinstance(decoded.pixels, Image.Image):
            values: NDArray[Any] = np.asarray(decoded.pixels)
            own: tuple[float, float] | None = EIGHT_BITS
        else:
            values, own = decoded.pixels, decoded.window
        if self.percentiles is not None:
            low, high = (float(value) for value in np.percentile(values, self.percentiles))
            if not np.isfinite(high - low):
                raise DataError("it holds values that are NaN or infinite")
            return low, high if high > low else low + 1
        if self.range is not None:
            self._check_range(values, *self.range)
            return self.range
        if own is not None:
            return own
        low, high = (0.0, 1.0) if values.dtype.kind == "f" else (0.0, 65535.0)
        least, most = values.min(), values.max()
        if not (low <= least and most <= high):  # so that NaN is refused too
            raise DataError(
                f"its values run from {least:g} to {most:g}, where {values.dtype} was expected to hold {low:g} to "
                f"{high:g}; give data.range = [LOWEST, HIGHEST], or data.percentiles"
            )
        return low, high

    def dark_image_note(self, name: str, file: ImageFile) -> str | None:
        """Return a sentence where an image has 16 bits and uses a small part of them, such as 12; None otherwise.

        Args:
            name: of the option that the file belongs to.
            file: the image's file; None is returned for one that cannot be read.
        """
        if self.range is not None or self.percentiles is not None or file.suffix.lower() not in _DEEP_SUFFIXES:
            return None
        try:
            decoded = decode(file, self.page, self.channels)
        except UnreadableImage:
            return None
        if isinstance(decoded.pixels, Image.Image) or decoded.window is None or decoded.pixels.dtype.itemsize < 2:
            return None
        most, white = int(decoded.pixels.max()), decoded.window[1]
        if not 0 < most < white / 4:
            return None
        bits = max(8, most.bit_length())
        return (
            f"{name}: the largest value of {file} is {most} of {white:g}, so that images are dark; if they have {bits} "
            f"bits, set data.range = [0, {2**bits - 1}]"
        )

    def _check_range(self, values: NDArray[Any], low: float, high: float) -> None:
        outside = float(np.mean(~((values >= low) & (values <= high))))
        if outside > _MOST_OUTSIDE or (values.dtype.kind == "f" and bool(np.isnan(values).any())):
            raise DataError(
                f"{outside:.0%} of its values lie outside data.range = [{low:g}, {high:g}]; they run from "
                f"{values.min():g} to {values.max():g}"
            )


def scale(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Scale stored values from [low, high] to float32 in [-1, 1], and clip those outside.

    Integers of up to 16 bits are recovered exactly by `unscale`.
    """
    if (low, high) == (-1, 1):
        return values.clip(-1, 1).astype(np.float32)
    scaled: NDArray[np.float64] = (values.astype(np.float64) - low) * (2 / (high - low)) - 1
    return scaled.clip(-1, 1).astype(np.float32)


def unscale(values: NDArray[Any], low: float, high: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Invert `scale`: from [-1, 1] to stored values of a type; integers are rounded, and clipped to their type."""
    stored = np.clip(values.astype(np.float64), -1, 1)
    if (low, high) != (-1, 1):
        stored = (stored + 1) * ((high - low) / 2) + low
    if dtype.kind == "f":
        return stored.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(stored), limits.min, limits.max).astype(dtype)


def to_float(image: Pixels) -> NDArray[np.float32]:
    """Return an image as float32 [H, W, C] in [-1, 1]."""
    if isinstance(image, Image.Image):
        return scale(np.asarray(image).reshape(image.height, image.width, -1), *EIGHT_BITS)
    return image.astype(np.float32, copy=False)


def size_of(image: Pixels) -> tuple[int, int]:
    """Return height and width of an image in pixels."""
    if isinstance(image, Image.Image):
        return image.height, image.width
    return int(image.shape[0]), int(image.shape[1])


def crop(image: Pixels, top: int, left: int, height: int, width: int) -> Pixels:
    """Crop an image."""
    if isinstance(image, Image.Image):
        return image.crop((left, top, left + width, top + height))
    return image[top : top + height, left : left + width]


def mirrored(image: Pixels) -> Pixels:
    """Mirror an image left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if isinstance(image, Image.Image) else image[:, ::-1]


def to_tensor(image: Pixels) -> Tensor:
    """Convert an image to a tensor: [C, H, W] float32 in [-1, 1], by `(x / 255 - 0.5) / 0.5` for 8 bits.

    Integers of an array, such as labels, keep their type.

    Raises:
        DataError: a Pillow image of a mode other than RGB and L.
    """
    if not isinstance(image, Image.Image):
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    if image.mode not in ("RGB", "L"):
        raise DataError(f"to_tensor: expected an image of mode RGB or L, got {image.mode}; call to_rgb first")
    pixels = torch.from_numpy(np.array(image).reshape(image.height, image.width, -1)).permute(2, 0, 1)
    # These three operations in this order, and not x / 127.5 - 1, are bit for bit what the references compute.
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255).sub_(0.5).div_(0.5)


def to_image(tensor: Tensor) -> Image.Image:
    """Convert a tensor [3, H, W] or [1, H, W] in [-1, 1] to an 8-bit image of mode RGB or L.

    Values are rounded to the nearest of 256 levels; those outside the range are clamped.

    Raises:
        DataError: the tensor has another shape.
    """
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise DataError(
            f"to_image: expected a tensor [3, H, W] or [1, H, W], got {list(tensor.shape)}; take one sample of a "
            f"batch, and `visible` of an image with other channels"
        )
    levels = tensor.detach().to("cpu", torch.float32).mul(0.5).add(0.5).mul(255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray((levels[0] if len(levels) == 1 else levels.permute(1, 2, 0)).contiguous().numpy())


def visible(images: Tensor) -> Tensor:
    """Return images [..., C, H, W] as people can see them: [..., 3, H, W].

    The first three channels are shown; one or two channels are shown as grey.
    """
    channels = images.shape[-3]
    if channels == 3:
        return images
    return images[..., :3, :, :] if channels > 3 else images[..., :1, :, :].expand(*images.shape[:-3], 3, -1, -1)


def _with_bands(image: Image.Image, channels: int) -> Image.Image:
    """A Pillow image with the wanted channels."""
    if channels == 3:
        return composite(image).convert("RGB")
    if channels == 1:
        return composite(image).convert("L")
    mode = image.mode if len(image.getbands()) == channels and image.mode != "P" else ""
    if not mode and channels in (2, 4) and image.has_transparency_data:
        mode = "LA" if channels == 2 else "RGBA"
    if not mode:
        raise _other_channels(len(image.getbands()) if image.mode != "P" else 3, channels)
    return image.convert(mode)


def _with_channels(values: NDArray[Any], alpha: bool, channels: int) -> NDArray[Any]:
    """Values [H, W, C] in [-1, 1] with the wanted channels."""
    if values.shape[2] == channels:
        return values
    found = values.shape[2]
    if alpha:
        opacity = (values[..., -1:] + 1) / 2
        values = values[..., :-1] * opacity + (1 - opacity)
    if values.shape[2] == 1 and channels == 3:
        return values.repeat(3, 2)
    if values.shape[2] == 3 and channels == 1:
        grey: NDArray[np.float64] = values @ _GREY
        return grey[..., None].astype(np.float32)
    if values.shape[2] != channels:
        raise _other_channels(found, channels)
    return values


def _other_channels(found: int, channels: int) -> DataError:
    s = "" if found == 1 else "s"
    return DataError(f"it has {found} channel{s}, where data.channels asks for {channels}")
