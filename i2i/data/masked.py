"""Unpaired folders of images with masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, cast

import numpy as np
from annotated_types import Ge, Le
from PIL import Image

from i2i.core.bounds import height_width
from i2i.core.contracts import Stream
from i2i.data.decoding import ImageFile, UnreadableImage, decode
from i2i.data.folders import Folders
from i2i.data.images import as_path
from i2i.data.label_maps import color_map, parse_colors
from i2i.data.listing import list_images, relative_path
from i2i.data.locations import Location
from i2i.data.pixels import Pixels
from i2i.data.sources.locate import Place
from i2i.errors import DataError, OptionError

MaskSource = Literal["alpha"] | Location | None
ALPHA = "alpha"


class MaskedFolders(Folders):
    """Unpaired folders of images, with a mask of each image that follows its flip, resize and crop.

    The streams `mask_a` and `mask_b` are [1, H, W] in [0, 1]. A mask is 1 where its file is white, opaque, or has one
    of the colours that `mask_colors` lists.

    Args:
        mask_a: masks of a's training images: a folder of files with the same relative paths apart from the suffix, or
            `alpha` for the images' own opacity. None for no masks.
        mask_b: masks of b's training images.
        mask_colors: colours that count as inside, such as `["#ff0000"]`, where masks are colour maps of labels.
        mask_tolerance: largest difference of a channel from such a colour; JPEG needs some.
        options: those of `folders`.

    Raises:
        DataError: an image has no mask.
        OptionError: neither domain has masks, or a colour is none.
    """

    def __init__(
        self,
        mask_a: MaskSource = None,
        mask_b: MaskSource = None,
        mask_colors: tuple[str, ...] = (),
        mask_tolerance: Annotated[int, Ge(0), Le(255)] = 0,
        **options: Any,
    ) -> None:
        self.check_masks(mask_a, mask_b, mask_colors)
        self.mask_a, self.mask_b = (ALPHA if mask == ALPHA else as_path(mask) for mask in (mask_a, mask_b))
        self.mask_colors, self.mask_tolerance = parse_colors("mask_colors", mask_colors), mask_tolerance
        self._masks: dict[str, dict[PurePath, Place]] = {}
        super().__init__(**options)

    @classmethod
    def check_masks(cls, mask_a: MaskSource, mask_b: MaskSource, mask_colors: tuple[str, ...]) -> None:
        """Refuse options without masks, and colours that are none."""
        if mask_a is None and mask_b is None:
            raise OptionError("mask_a", "expected a folder of masks, or 'alpha', for a domain, got none for both")
        parse_colors("mask_colors", mask_colors)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        mask = Stream("mask", 1, height_width(options["size"]), (0.0, 1.0))
        streams = super().declare_streams(options)
        return streams | {f"mask_{domain}": mask for domain in cls.domains if options[f"mask_{domain}"] is not None}

    def companions(self, domain: str, file: ImageFile) -> Mapping[str, ImageFile]:
        """The mask of an image, or the image itself where its opacity is the mask."""
        source = getattr(self, f"mask_{domain}")
        if source is None:
            return {}
        return {f"mask_{domain}": file if source == ALPHA else self._mask_of(domain, source, file)}

    def read(self, stream: str, file: ImageFile) -> Pixels:
        if stream in self.domains:
            return super().read(stream, file)
        if getattr(self, stream) == ALPHA:
            return _opacity(file)
        if not self.mask_colors:
            return super().read(stream, file)
        image = color_map(decode(file).pixels)
        inside = np.zeros((image.height, image.width), bool)
        pixels = np.asarray(image).astype(np.int32)
        for color in self.mask_colors:
            inside |= np.abs(pixels - color).max(2) <= self.mask_tolerance
        return Image.fromarray(inside.astype(np.uint8) * 255)

    def _mask_of(self, domain: str, source: Place, file: ImageFile) -> Place:
        folder = self.folders[domain]
        if domain not in self._masks:
            # Where the images are divided into train and test, their masks may be, too.
            inside = source / "train" if folder.name == "train" and (source / "train").is_dir() else source
            listing = list_images(inside)
            self._masks[domain] = {listing.relative(mask).with_suffix(""): mask for mask in listing.images}
        name = relative_path(cast(Place, file), folder).with_suffix("")
        if name not in self._masks[domain]:
            raise DataError(f"{file} has no mask: expected {source / name.as_posix()}, with the suffix of an image")
        return self._masks[domain][name]


def _opacity(file: ImageFile) -> Pixels:
    """The opacity of an image as grey, white where it is opaque.

    Raises:
        UnreadableImage: it has none.
    """
    decoded = decode(file, channels=4)
    image = decoded.pixels
    if isinstance(image, Image.Image) and image.has_transparency_data:
        return image.convert("RGBA").getchannel("A")
    if not isinstance(image, Image.Image) and decoded.alpha and decoded.window is not None:
        return (image[..., -1:].astype(np.float32) / (decoded.window[1] / 2) - 1).astype(np.float32)
    raise UnreadableImage(file, "it has no opacity (alpha channel) that could be its mask")
