"""Image files, read and written with all that a translation keeps of them: depth, opacity, profile, EXIF and pages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.data import arrays
from i2i.data.decoding import TIFF_SIGNATURES, Decoded, ImageFile, UnreadableImage, decode, open_limited
from i2i.data.modes import color_space, from_srgb
from i2i.data.pixels import PixelFormat, Pixels, crop, scale, size_of, unscale
from i2i.data.transforms import resized
from i2i.data.writing import ABILITIES, NOTHING, Metadata, without_orientation, write_arrays, write_image
from i2i.errors import DataError

Window = tuple[float, float]


@dataclass(frozen=True)
class SourceImage:
    """An image file as a translator takes it, with what its translation takes over.

    Args:
        pages: the images of the file.
        windows: for each page, the stored values that became -1 and 1.
        dtype: type of the stored values.
        alpha: for each page, opacity [H, W, 1] in [-1, 1], or None.
        metadata: colour profile, EXIF and resolution.
        to_srgb: whether the pages were converted from the colour profile to sRGB.
        lost: what cannot be taken over, each a noun.
    """

    pages: tuple[Pixels, ...]
    windows: tuple[Window, ...]
    dtype: np.dtype[Any]
    alpha: tuple[NDArray[Any] | None, ...]
    metadata: Metadata
    to_srgb: bool = False
    lost: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return size_of(self.pages[0])

    def first(self) -> SourceImage:
        """Return the first page alone."""
        return replace(self, pages=self.pages[:1], windows=self.windows[:1], alpha=self.alpha[:1])

    def half(self, left: bool) -> SourceImage:
        """Return one half of side-by-side images, whose metadata stay."""
        alpha = tuple(None if one is None else np.asarray(_half(one, left)) for one in self.alpha)
        return replace(self, pages=tuple(_half(page, left) for page in self.pages), alpha=alpha)


def source_of(value: object, format: PixelFormat) -> SourceImage | None:
    """Return a file's path, a Pillow image or an array as a source; None for anything else.

    Raises:
        DataError: it has other channels or values than the translator takes.
    """
    if isinstance(value, str | Path):
        return read_source(Path(value), format)
    if isinstance(value, Image.Image):
        return source_of_image(value, format)
    return source_of_array(value, format) if isinstance(value, np.ndarray) else None


def read_source(file: ImageFile, format: PixelFormat) -> SourceImage:
    """Read an image file for a translation; all pages of a TIFF file, if they have one size and are not channels.

    Args:
        file: the image.
        format: how the translator's data set reads its domain.

    Raises:
        UnreadableImage: it is damaged, or has other channels or values than the translator takes.
    """
    decoded, lost = _decoded_pages(file, format)
    metadata, more = _metadata_of(file)
    return _source(decoded, format, file, metadata, (*lost, *more))


def source_of_image(image: Image.Image, format: PixelFormat) -> SourceImage:
    """Return a Pillow image as if it had been read from a file."""
    decoded = decoded_image(image)
    profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    return _source([decoded], format, None, Metadata(profile, None, dpi))


def decoded_image(image: Image.Image) -> Decoded:
    """Return a Pillow image of any mode as a decoded file, upright."""
    from i2i.data.modes import upright

    image.load()  # a PNG's orientation is stored after its pixels
    image = upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)[..., None]
        if image.mode == "I" and values.min() >= 0 and values.max() < 65536:
            values = values.astype(np.uint16)
        return Decoded(values, arrays.type_window(values.dtype))
    return Decoded(image)


def source_of_array(values: NDArray[Any], format: PixelFormat) -> SourceImage:
    """Return an array [H, W] or [H, W, C] as if it had been read from a file.

    Raises:
        DataError: it has other channels or values than the translator takes.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.dtype.kind not in "iuf":
        got = f"{list(values.shape)} of {values.dtype}"
        raise DataError(f"expected an array [H, W] or [H, W, C] of integers or floats, got {got}")
    if values.dtype == np.uint8 and values.shape[2] == 3:
        return source_of_image(Image.fromarray(values), format)
    return _source([Decoded(values, arrays.type_window(values.dtype))], format, None, Metadata())


def stored_pages(pages: Sequence[Tensor], source: SourceImage, window: Window | None) -> list[NDArray[Any]]:
    """Return translations [C, H, W] in [-1, 1] as arrays [H, W, C] of the depth of their source.

    Args:
        pages: translation of each page.
        source: where the depth comes from.
        window: the stored values that -1 and 1 stand for; those of the source when None.
    """
    windows = source.windows if window is None else (window,) * len(pages)
    dtype = _fitting_type(source.dtype, windows)
    return [
        unscale(page.permute(1, 2, 0).float().cpu().numpy(), *one, dtype)
        for page, one in zip(pages, windows, strict=True)
    ]


def write_translation(
    target: Path,
    pages: Sequence[Tensor],
    source: SourceImage,
    window: Window | None = None,
    notes: Mapping[str, str] = NOTHING,
    taken: Collection[Path] = (),
) -> tuple[Path, list[str]]:
    """Write a translation with the depth, opacity, profile, EXIF and pages of its source.

    Args:
        target: the file; if its format cannot hold the channels, a TIFF file is written in its place.
        pages: translation [C, H, W] in [-1, 1] of each page.
        source: the image that was translated.
        window: the stored values that -1 and 1 stand for; those of the source when None.
        notes: text to store in the file.
        taken: files that a TIFF file must not replace.

    Returns:
        path: of the file.
        lost: what the file does not have of its source, each a noun.

    Raises:
        DataError: the format cannot hold the channels, and the TIFF file is taken.
    """
    stored = stored_pages(pages, source, window)
    lost = list(source.lost)
    colors = stored[0].shape[2]
    able = ABILITIES[target.suffix.lower()]
    if able.channels and colors not in able.channels:
        lost.append(f"the format {able.name}, which cannot have {colors} channels (written as TIFF)")
        target = target.with_suffix(".tif")
        if target in taken or target.resolve() in taken:
            raise DataError(f"{able.name} cannot have {colors} channels, and {target} is taken; give --format tif")
        able = ABILITIES[".tif"]
    if stored[0].dtype != np.uint8 and able.deep is not None and stored[0].dtype.name not in able.deep:
        lost.append(f"{stored[0].dtype} ({able.name} holds 8 bits)")
        stored = [unscale(page.permute(1, 2, 0).float().cpu().numpy(), 0, 255, np.dtype(np.uint8)) for page in pages]
    if len(stored) > 1 and not able.pages:
        lost.append(f"pages after the first ({able.name} holds one)")
        stored = stored[:1]
    alpha = source.alpha[0] is not None
    if alpha and not (able.alpha and colors in (1, 3)):
        lost.append(f"opacity ({able.name if colors in (1, 3) else f'{colors} channels'} cannot have it)")
        alpha = False
    if alpha:
        stored = [_with_alpha(page, opacity) for page, opacity in zip(stored, source.alpha, strict=True)]
    metadata, more = _kept_metadata(source, colors, target)
    lost += more
    write = stored[0].dtype == np.uint8 and len(stored) == 1 and stored[0].shape[2] <= 4
    if write and target.suffix.lower() not in (".npy", ".npz") and (alpha or colors in (1, 3)):
        image = Image.fromarray(stored[0][..., 0] if stored[0].shape[2] == 1 else stored[0])
        write_image(_in_profile(image, source, metadata), target, notes, metadata)
        return target, lost
    if metadata.exif is not None:
        lost.append("EXIF")
    write_arrays(stored, target, notes, metadata, alpha)
    return target, lost


def _decoded_pages(file: ImageFile, format: PixelFormat) -> tuple[list[Decoded], list[str]]:
    first = decode(file, format.page, format.channels)
    if format.page is not None or file.suffix.lower() not in (".tif", ".tiff"):
        return [first], []
    with file.open("rb") as stream:
        pages = arrays.tiff_facts(stream)[0] if stream.read(4) in TIFF_SIGNATURES and stream.seek(0) == 0 else 1
    if pages == 1 or _channels(first) != _channels(decode(file, 0, format.channels)):
        return [first], []
    decoded = [first, *(decode(file, page, format.channels) for page in range(1, pages))]
    if len({(one.size, _channels(one)) for one in decoded}) > 1:
        return [first], ["pages after the first, which have other sizes"]
    return decoded, []


def _channels(decoded: Decoded) -> int:
    pixels = decoded.pixels
    return len(pixels.getbands()) if isinstance(pixels, Image.Image) else int(pixels.shape[2])


def _source(
    decoded: list[Decoded], format: PixelFormat, file: ImageFile | None, metadata: Metadata, lost: tuple[str, ...] = ()
) -> SourceImage:
    try:
        pages = tuple(format.convert(one) for one in decoded)
        windows = tuple(format.window(one) for one in decoded)
    except DataError as error:
        if file is None:
            raise
        raise UnreadableImage(file, str(error)) from error
    first = decoded[0].pixels
    dtype = np.dtype(np.uint8) if isinstance(first, Image.Image) else first.dtype
    to_srgb = format.srgb and isinstance(first, Image.Image) and first.mode in ("RGB", "RGBA", "CMYK", "LAB")
    alpha = tuple(_alpha_of(one, format.channels) for one in decoded)
    return SourceImage(pages, windows, dtype, alpha, metadata, to_srgb, lost)


def _alpha_of(decoded: Decoded, channels: int) -> NDArray[Any] | None:
    """Opacity [H, W, 1] in [-1, 1] that is not one of the channels, if there is any."""
    pixels = decoded.pixels
    if isinstance(pixels, Image.Image):
        if channels not in (1, 3) or not pixels.has_transparency_data:
            return None
        return scale(np.asarray(pixels.convert("RGBA").getchannel("A"))[..., None], 0, 255)
    if not decoded.alpha or pixels.shape[2] == channels:
        return None
    return scale(pixels[..., -1:], 0, (decoded.window or (0.0, 1.0))[1])


def _metadata_of(file: ImageFile) -> tuple[Metadata, list[str]]:
    """What a file holds next to its pixels, and what of it cannot be kept."""
    with file.open("rb") as stream:
        head = stream.read(4)
        stream.seek(0)
        if head in TIFF_SIGNATURES:
            _, profile, lost = arrays.tiff_facts(stream)
            return Metadata(profile), lost
        try:
            image = open_limited(stream)
        except (OSError, SyntaxError, ValueError):  # an array
            return Metadata(), []
        exif, dpi = image.info.get("exif"), image.info.get("dpi")
        kept = without_orientation(exif) if isinstance(exif, bytes) else None
        return Metadata(image.info.get("icc_profile"), kept, dpi if dpi and all(dpi) else None), []


def _kept_metadata(source: SourceImage, colors: int, target: Path) -> tuple[Metadata, list[str]]:
    """The metadata of a translation, and what is lost."""
    able, metadata = ABILITIES[target.suffix.lower()], source.metadata
    lost = []
    profile = metadata.icc_profile
    if profile is not None and (color_space(profile) != {1: "GRAY", 3: "RGB"}.get(colors) or not able.profile):
        lost.append("colour profile")
        profile = None
    exif = metadata.exif
    if exif is not None and not able.exif:
        lost.append("EXIF")
        exif = None
    return Metadata(profile, exif, metadata.dpi), lost


def _in_profile(image: Image.Image, source: SourceImage, metadata: Metadata) -> Image.Image:
    """An image in sRGB in the color profile of its source, if it keeps it."""
    if metadata.icc_profile is None or not source.to_srgb or image.mode not in ("RGB", "RGBA"):
        return image
    converted = from_srgb(image.convert("RGB"), metadata.icc_profile)
    if converted is None:
        return image
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def _with_alpha(page: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    height, width = size_of(page)
    top = 1.0 if page.dtype.kind == "f" else float(np.iinfo(page.dtype).max)
    opacity = np.ones((height, width, 1), np.float32) if alpha is None else np.asarray(resized(alpha, (height, width)))
    return np.concatenate([page, unscale(opacity, 0, top, page.dtype)], 2)


def _fitting_type(dtype: np.dtype[Any], windows: Sequence[Window]) -> np.dtype[Any]:
    """The type of the source, or one that can hold the values of the windows."""
    low, high = min(low for low, _ in windows), max(high for _, high in windows)
    if dtype.kind == "f":
        return dtype
    if high - low <= 1 or low != int(low) or high != int(high):
        return np.dtype(np.float32)
    for one in (dtype, np.dtype(np.uint16), np.dtype(np.int16), np.dtype(np.int32)):
        if np.iinfo(one).min <= low and high <= np.iinfo(one).max:
            return one
    return np.dtype(np.float32)


def _half(image: Pixels, left: bool) -> Pixels:
    height, width = size_of(image)
    return crop(image, 0, 0 if left else width // 2, height, width // 2)
