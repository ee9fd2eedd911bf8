"""Drawn shapes with masks, and pairs of drawn shapes with a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import height_width
from i2i.core.contracts import Stream
from i2i.data.pixels import to_tensor
from i2i.data.transforms import SampleSize, resized
from i2i.demo.canvas import Canvas
from i2i.demo.shapes import Color, Shapes, coverage


class MaskedShapes(Shapes):
    """`shapes`, with masks of what a translation may change: a disc around each object, 1 inside.

    Args:
        grow: by how much the disc exceeds the object, as a factor of its side.
        options: those of `shapes`.
    """

    def __init__(self, grow: Annotated[float, Ge(1)] = 1.6, **options: Any) -> None:
        super().__init__(**options)
        self.grow = grow

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        mask = Stream("mask", 1, height_width(options["size"]), (0.0, 1.0))
        return super().declare_streams(options) | {f"mask_{domain}": mask for domain in cls.domains}

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0, with the masks `mask_a` and `mask_b`, [1, size, size] in [0, 1]."""
        numbers = zip(self.domains, self.numbers(number), strict=True)
        return super().__getitem__(number) | {f"mask_{domain}": self.mask(n) for domain, n in numbers}

    def mask(self, number: int) -> Tensor:
        """The mask of an object, [1, size, size] in [0, 1]."""
        drawn = self.object(number)
        sides = height_width(self.size)
        cover = coverage(Canvas.blank(max(sides)), replace(drawn, side=drawn.side * self.grow), "circle")
        return to_tensor(resized(cover[..., None], sides))


class ShapeClasses(Shapes):
    """Pairs of a white square (a) and a circle (b) in the colour that the class of the pair names.

    Args:
        size: height and width of the images in pixels.
        count: samples of one epoch.
        seed: of all objects, >= 0.
    """

    classes: ClassVar[tuple[Color, ...]] = ("red", "blue")

    def __init__(
        self, size: SampleSize = 32, count: Annotated[int, Ge(1)] = 1000, seed: Annotated[int, Ge(0)] = 0
    ) -> None:
        super().__init__(size, count, color_a="white", paired=True, seed=seed)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        label = Stream("label", len(cls.classes), names=cls.classes)
        return super().declare_streams(options) | {"label": label}

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0, with `label`, the number of its class."""
        return super().__getitem__(number) | {"label": torch.tensor(self.label(number))}

    def label(self, number: int) -> int:
        """The class of an object."""
        return int(self.object(number).noise % len(self.classes))

    def color_of(self, domain: str, number: int) -> Color:
        return super().color_of(domain, number) if domain == "a" else self.classes[self.label(number)]
