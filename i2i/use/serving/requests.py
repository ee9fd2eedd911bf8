"""Read what a request holds: images within limits, and conditions that never name a file."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from PIL import Image
from torch import Tensor

from i2i.core.signature import options
from i2i.data.decoding import open_limited
from i2i.data.images import read_image
from i2i.errors import I2IError
from i2i.recipe.values import MismatchError, fit
from i2i.use.loaded import Loaded, Size

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Args:
        bytes: size of a request's body.
        pixels: pixels of an uploaded image.
        translated: pixels of an image as it is translated, after resizing.
        images: number of images in a request for a zip archive.
        queue: requests that are worked on or wait; further ones are refused.
        seconds: time from the request to its answer.
    """

    bytes: int = 64 * 2**20
    pixels: int = 50_000_000
    translated: int = 4_000_000
    images: int = 200
    queue: int = 64
    seconds: float = 120.0


class RequestError(I2IError):
    """A request that cannot be answered.

    Args:
        code: HTTP status.
        reason: what was expected and what came.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class _Upload:
    """Uploaded bytes as a file, whose name is never used."""

    content: bytes
    name: str = "upload"
    suffix: str = ""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        return io.BytesIO(self.content)


def decode(content: bytes, limits: Limits) -> Image.Image:
    """Decode an uploaded image as upright RGB; its header is checked before its pixels are decoded.

    Raises:
        RequestError: it is no image, is damaged or has too many pixels.
    """
    try:
        with open_limited(io.BytesIO(content), FORMATS) as image:
            if image.width * image.height > limits.pixels:
                raise RequestError(
                    413, f"the image has {image.width} x {image.height} pixels, more than the limit of {limits.pixels}"
                )
        return read_image(_Upload(content))
    except (RequestError, MemoryError):
        raise
    except Exception as error:  # on damaged bytes decoders raise nearly anything
        raise RequestError(
            415, "expected an image (JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF), got other or damaged bytes"
        ) from error


def prepare(loaded: Loaded, image: Image.Image, to: str, size: str | None, limits: Limits) -> Tensor:
    """Resize an image for translation.

    Args:
        loaded: the translator.
        image: mode RGB.
        to: domain to translate to.
        size: length of the shorter side in pixels, or "original"; the recipe's size when None or empty.
        limits: `translated` is checked before resizing.

    Raises:
        RequestError: the size is illegal or too large.
    """
    wanted: Size = None
    if size:
        if size != "original" and not size.isdecimal():
            raise RequestError(422, f'size: expected a number of pixels or "original", got {size[:40]!r}')
        wanted = "original" if size == "original" else int(size[:9])
    if loaded.constraints.fixed_size is None:
        short = min(image.size) if wanted == "original" else wanted or min(loaded.recipe.image_size)
        scale = short / min(image.size)
        if (pixels := round(image.width * scale * image.height * scale)) > limits.translated:
            raise RequestError(
                413,
                f"an image of {image.width} x {image.height} pixels at size {short} would have {pixels} pixels, more "
                f"than the limit of {limits.translated}; ask for a smaller size",
            )
    return loaded.prepare(image, wanted, loaded.source_of(to))


def condition_of(
    loaded: Loaded,
    style: str | None,
    seed: int | None,
    weights: str | None,
    images: Sequence[Image.Image],
    more: str | None,
) -> dict[str, Any]:
    """Return the conditions of a translation.

    Args:
        loaded: the translator.
        style: number of a style, or "random"; several numbers with commas are blended.
        seed: seed of random styles.
        weights: weights of the blended styles or images, with commas; equal ones when None.
        images: reference images.
        more: other conditions, as a JSON object of numbers.

    Raises:
        RequestError: a value is illegal.
    """
    condition: dict[str, Any] = {} if seed is None else {"seed": seed}
    numbers = [part.strip() for part in style.split(",")] if style else []
    if numbers != ["random"] and not all(part.isdecimal() and len(part) < 7 for part in numbers):
        raise RequestError(422, f'style: expected "random" or numbers, got {style!r:.60}; give images as style_image')
    styles: list[Any] = [*images, *(part if part == "random" else int(part) for part in numbers)]
    if len(styles) == 1:
        condition["style"] = styles[0]
    elif styles:
        shares = [1.0] * len(styles)
        if weights:
            try:
                shares = [float(weight) for weight in weights.split(",")]
            except ValueError as error:
                raise RequestError(422, f"weights: expected numbers with commas, got {weights!r:.60}") from error
        if len(shares) != len(styles) or not all(0 <= share < float("inf") for share in shares):
            raise RequestError(
                422, f"weights: expected {len(styles)} numbers >= 0, one for each style, got {weights!r:.60}"
            )
        condition["blend"] = list(zip(styles, shares, strict=True))
    return condition | _numbers(loaded, more)


def _numbers(loaded: Loaded, text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    known = numeric_conditions(loaded)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(422, f"conditions: expected a JSON object, got {text!r:.60}") from error
    if not isinstance(values, dict) or not all(name in known for name in values):
        names = ", ".join(known) or "nothing"
        raise RequestError(422, f"conditions: expected a JSON object with {names}, got {text!r:.60}")
    annotations = options(type(loaded.translator).translate)
    try:
        return {name: fit(value, annotations[name].annotation) for name, value in values.items()}
    except MismatchError as error:
        raise RequestError(422, f"conditions: {error}") from error


def numeric_conditions(loaded: Loaded) -> dict[str, float]:
    """Return the numbers that a translation takes in addition to style and seed, with their defaults."""
    parameters = inspect.signature(loaded.translator.translate).parameters
    found = {name: parameters[name].default for name in loaded.translator.conditions() if name in parameters}
    return {
        name: default
        for name, default in found.items()
        if isinstance(default, int | float) and name not in ("seed", "style")
    }
