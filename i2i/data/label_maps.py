"""Label maps as people store and see them, a colour for each class, and as class numbers and one-hot images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import of_domain
from i2i.data.decoding import Decoded
from i2i.data.pixels import EIGHT_BITS, PixelFormat, Pixels, to_tensor
from i2i.data.transforms import Resample
from i2i.errors import DataError, OptionError

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class LabelFormat(PixelFormat):
    """How colour maps of labels are read: as class numbers, int32 [H, W, 1].

    Args:
        colors: colours of the classes.
        tolerance: largest difference of a channel from the class's colour.
    """

    colors: tuple[Color, ...] = ()
    tolerance: int = 0

    def convert(self, decoded: Decoded) -> Pixels:
        return classes_of(color_map(decoded.pixels), self.colors, self.tolerance)

    def window(self, decoded: Decoded) -> tuple[float, float]:
        """Return the values of 8-bit colours: what is translated from a label map has 8 bits."""
        return EIGHT_BITS


def parse_colors(option: str, colors: Sequence[str]) -> tuple[Color, ...]:
    """Return the colours of classes that a recipe writes as `#rrggbb`.

    Args:
        option: name of the option, for messages.
        colors: the colours, in the order of the classes.

    Raises:
        OptionError: one is no colour, or occurs twice.

    Example:
        >>> parse_colors("colors", ["#ff0000", "00ff80"])
        ((255, 0, 0), (0, 255, 128))
    """
    found: list[Color] = []
    for text in colors:
        match = _HEX.fullmatch(text)
        if match is None:
            raise OptionError(option, f"expected colours such as '#ff0000', got {text!r}")
        red, green, blue = bytes.fromhex(match[1])
        if (red, green, blue) in found:
            raise OptionError(option, f"{text!r} occurs twice, so that two classes would have one colour")
        found.append((red, green, blue))
    return tuple(found)


def classes_of(image: Pixels, colors: Sequence[Color], tolerance: int = 0) -> NDArray[np.int32]:
    """Return the class numbers [H, W, 1] of a colour map: each pixel's nearest colour.

    Args:
        image: mode RGB.
        colors: colours of the classes.
        tolerance: largest difference of a channel from the class's colour; JPEG needs some.

    Raises:
        DataError: a pixel has the colour of no class; names it, its place and the nearest class.
    """
    pixels = np.asarray(image).astype(np.int32)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(f"expected a colour map of labels, red, green and blue, got {list(pixels.shape)}")
    palette = np.asarray(colors, np.int32)
    distances = np.stack([np.square(pixels - color).sum(2) for color in palette], 2)
    numbers = distances.argmin(2)
    differences = np.abs(pixels - palette[numbers]).max(2)
    if (differences > tolerance).any():
        row, column = np.unravel_index(int(differences.argmax()), differences.shape)
        got, near = pixels[row, column], palette[numbers[row, column]]
        raise DataError(
            f"the colour {_hex(got)} in row {row}, column {column} belongs to no class; the nearest is {_hex(near)}. "
            f"List it, or raise the tolerance above {int(differences.max()) - 1}"
        )
    found: NDArray[np.int32] = numbers[..., None].astype(np.int32)
    return found


def one_hot(numbers: NDArray[Any], classes: int) -> Tensor:
    """Return class numbers [H, W, 1] as an image [classes, H, W] of zeros and ones."""
    planes = torch.from_numpy(np.ascontiguousarray(numbers[..., 0]).astype(np.int64))
    return torch.nn.functional.one_hot(planes, classes).permute(2, 0, 1).float()


def input_format(stream: Stream, domain: str, options: Mapping[str, Any]) -> PixelFormat:
    """Return how images of a domain are read for a translation, as the data set of the recipe reads them.

    Args:
        stream: specification of the images.
        domain: their domain.
        options: options of the data set that the recipe sets.
    """
    if stream.colors:
        return LabelFormat(colors=stream.colors, tolerance=options.get("tolerance", 0))
    return PixelFormat(
        stream.channels,
        of_domain(options.get("range"), domain, None),
        of_domain(options.get("percentiles"), domain, None),
        options.get("page"),
        options.get("srgb", True),
    )


def filter_for(image: Pixels, resample: Resample) -> Resample | Literal["nearest"]:
    """Return how an image is resized: class numbers to the nearest pixel, for they must not be mixed."""
    return "nearest" if isinstance(image, np.ndarray) and image.dtype.kind == "i" else resample


def to_input(image: Pixels, streams: Mapping[str, Stream]) -> Tensor:
    """Return an image as a network takes it, [C, H, W]; class numbers as a one-hot image.

    Args:
        image: as it was read and resized.
        streams: those of the data, of which one is a label map where the image is one.
    """
    if not (isinstance(image, np.ndarray) and image.dtype.kind == "i"):
        return to_tensor(image)
    return one_hot(image, next(stream.channels for stream in streams.values() if stream.colors))


def colorize(labels: Tensor, colors: Sequence[Color]) -> Tensor:
    """Return one-hot images [..., N, H, W] in the colours of their classes, [..., 3, H, W] in [-1, 1]."""
    palette = torch.tensor(colors, dtype=torch.float32, device=labels.device) / 127.5 - 1
    return palette[labels.argmax(-3)].movedim(-1, -3)


def color_map(file_pixels: Pixels) -> Image.Image:
    """Return the pixels of a file as RGB, without any conversion between colour spaces.

    Raises:
        DataError: it has no 8-bit colours.
    """
    if not isinstance(file_pixels, Image.Image):
        raise DataError("expected a colour map of labels with 8 bits per channel")
    return file_pixels.convert("RGB")


def _hex(color: Sequence[int]) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in color)
