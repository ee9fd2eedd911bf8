"""Converts decoded images of any mode and orientation to upright 8-bit RGB."""

from __future__ import annotations

import io
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageCms

from i2i.errors import DataError

_UPRIGHT = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
_ORIENTATION = 0x0112  # the EXIF tag


def upright(image: Image.Image) -> Image.Image:
    """Rotates and mirrors a loaded image as its EXIF orientation says, if it has one."""
    # ImageOps.exif_transpose also rewrites the rest of the EXIF block, and fails where that is damaged.
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # unreadable metadata of a readable image
        return image
    method = _UPRIGHT.get(orientation)
    if method is None:
        return image
    turned = image.transpose(method)
    # The orientation would be applied once more by whoever reads it; the rest of the EXIF block is read elsewhere.
    turned.info = {name: value for name, value in image.info.items() if name in ("transparency", "icc_profile")}
    return turned


def composite(image: Image.Image) -> Image.Image:
    """Composite transparent pixels of an 8-bit image over white; other images are returned as they are."""
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert an 8-bit image from its embedded colour profile to sRGB.

    Images without a profile, with one that calls itself sRGB, or with one that is damaged or belongs to another mode,
    are returned as they are.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "LAB"):
        return image
    transform = _to_srgb(profile, image.mode)
    if transform is None:
        return image
    if image.mode != "RGBA":
        return ImageCms.applyTransform(image, transform) or image
    # Opacity is no color: the channels are converted without it.
    colors = ImageCms.applyTransform(image.convert("RGB"), transform) or image.convert("RGB")
    colors.putalpha(image.getchannel("A"))
    return colors


def from_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert an RGB image from sRGB to a colour profile; None if the profile is of another color space.

    One that calls itself sRGB changes nothing.
    """
    if color_space(profile) != "RGB":
        return None
    transform = _from_srgb(profile)
    return image if transform is None else ImageCms.applyTransform(image, transform)


@lru_cache(maxsize=64)
def color_space(profile: bytes) -> str | None:
    """Return the color space of a profile, such as `RGB`, `GRAY` or `CMYK`; None for one that is damaged."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile to sRGB; None where there is nothing to do, or nothing to be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _is_srgb(source):
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, "RGB" if mode == "RGBA" else mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


@lru_cache(maxsize=64)
def _from_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _is_srgb(target):
        return None
    return ImageCms.buildTransform(ImageCms.createProfile("sRGB"), target, "RGB", "RGB")


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "srgb" in ImageCms.getProfileDescription(profile).lower()


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB, with transparent pixels composited over white.

    Greyscale of 16 bits (I;16) maps 0..65535 to 0..255. An image does not say which range 32-bit integers (I) and
    floats (F) have, so none is guessed from the content: I is taken as 16-bit values in a wider type, which is how
    Pillow reads 16-bit PGM, and F as 0..1. Values outside are refused. Colour profiles are not applied.

    Raises:
        DataError: values of I or F are out of range.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_to_grey(image).convert("RGB")
    return composite(image).convert("RGB")


def _deep_to_grey(image: Image.Image) -> Image.Image:
    top = 1.0 if image.mode == "F" else 65535.0
    values = np.asarray(image)
    levels = np.rint(values.astype(np.float64) * (255 / top))
    if not (levels.min() >= 0 and levels.max() <= 255):  # so that NaN is refused too
        raise DataError(
            f"its values run from {values.min():g} to {values.max():g}, where mode {image.mode} was expected to hold "
            f"0 to {top:g}; convert it to 8 bits"
        )
    if isinstance(key := image.info.get("transparency"), int):  # of a 16-bit PNG: one value that is transparent
        levels[values == key] = 255
    return Image.fromarray(levels.astype(np.uint8))
