"""Pairs of a label map and an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.decoding import ImageFile, UnreadableImage
from i2i.data.files import Images
from i2i.data.label_maps import classes_of, color_map, one_hot, parse_colors
from i2i.data.paired import Paired
from i2i.data.pixels import Pixels
from i2i.errors import DataError, OptionError


class LabelPairs(Paired):
    """Pairs of which one domain is a label map, stored as an image with a colour for each class.

    The label map becomes an image with a channel for each class, 1 where a pixel has the class and 0 elsewhere. It is
    resized to the nearest pixel, so that classes are not mixed; flip and crop are those of the other image.

    Args:
        colors: colours of the classes, such as `["#0000ff", "#ff0000"]`, in the order of their numbers.
        labels: domain of the label maps.
        tolerance: largest difference of a channel from a class's colour; 0 for PNG, more for JPEG: with 255 each pixel
            gets the nearest class.
        options: those of `paired`.

    Raises:
        OptionError: fewer than two colours, or one that is none.
    """

    def __init__(
        self,
        colors: tuple[str, ...] = (),
        labels: Literal["a", "b"] = "a",
        tolerance: Annotated[int, Ge(0), Le(255)] = 0,
        **options: Any,
    ) -> None:
        self.colors, self.labels, self.tolerance = colors, labels, tolerance
        self.palette = self._palette(colors)
        super().__init__(**options)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        streams = super().declare_streams(options)
        palette, domain = cls._palette(options["colors"]), options["labels"]
        label_map = replace(streams[domain], channels=len(palette), range=(0.0, 1.0), colors=palette)
        return streams | {domain: label_map}

    @staticmethod
    def _palette(colors: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
        palette = parse_colors("colors", colors)
        if len(palette) < 2:
            raise OptionError("colors", f"expected the colours of at least two classes, got {list(colors)}")
        return palette

    @property
    def nearest(self) -> tuple[bool, bool]:
        return (self.labels == "a", self.labels == "b")

    def to_sample(self, domain: str, image: Pixels) -> Tensor:
        return (
            one_hot(np.asarray(image), len(self.palette)) if domain == self.labels else super().to_sample(domain, image)
        )

    def _read_both(self, files: Sequence[ImageFile]) -> Images:
        return self._with_classes(super()._read_both(files), files[self.domains.index(self.labels)])

    def _split(self, files: Sequence[ImageFile]) -> Images:
        return self._with_classes(super()._split(files), files[0])

    def _with_classes(self, images: Images, file: ImageFile) -> Images:
        place = self.domains.index(self.labels)
        try:
            numbers = classes_of(color_map(images[place]), self.palette, self.tolerance)
        except DataError as error:
            raise UnreadableImage(file, str(error)) from error
        return (numbers, images[1]) if place == 0 else (images[0], numbers)
