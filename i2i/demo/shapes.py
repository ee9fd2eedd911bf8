"""Drawn shapes: squares as domain a, circles as domain b, and metrics of translations between them."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from i2i.core.bounds import height_width
from i2i.data.base import ImageDataset
from i2i.data.pixels import to_tensor
from i2i.data.transforms import resized
from i2i.demo.canvas import Canvas, DrawnSize

Form = Literal["square", "circle"]
Color = Literal["red", "blue", "white", "random"]

# Objects from here on are never trained on: a stream of one object per nanosecond would take centuries to get there.
_PREVIEW = 2**60
_PAIRS = 2**61
BACKGROUND_NOISE = 0.04
_MARGIN = 0.06
"""Least distance between an object and the image's edge, as a fraction of the side."""


@dataclass(frozen=True)
class DrawnObject:
    """What a square and its circle share; lengths are fractions of the image's side.

    Args:
        center: x to the right and y downwards, in [0, 1].
        side: of the square; the circle has the same area.
        hue: in [0, 1); used where the domain's colour is random.
        tones: three numbers in [0, 1] that vary a colour within its name.
        noise: seed of the background.
    """

    center: tuple[float, float]
    side: float
    hue: float
    tones: tuple[float, float, float]
    noise: int


class Shapes(ImageDataset):
    """Squares (a) and circles (b), one per image on a noisy background, at random places and of random areas.

    An object is a function of its number and the seed. Unpaired, sample n shows object 2n in domain a and object 2n + 1
    in domain b, so that no object is seen in both; paired, it shows object n in both. Samples never repeat.

    Args:
        size: height and width of the images in pixels; one number for a square. Others are stretched squares.
        count: samples of one epoch.
        color_a: of the squares; `random` is any hue.
        color_b: of the circles; `random` is any hue, for methods that give several translations.
        paired: whether both images of a sample show the same object.
        seed: of all objects, >= 0.
        noise: standard deviation of the background, of a range of 1; 0 for a plain one.
    """

    forms: ClassVar[dict[str, Form]] = {"a": "square", "b": "circle"}

    def __init__(
        self,
        size: DrawnSize = 32,
        count: Annotated[int, Ge(1)] = 1000,
        color_a: Color = "red",
        color_b: Color = "blue",
        paired: bool = False,
        seed: Annotated[int, Ge(0)] = 0,
        noise: Annotated[float, Ge(0), Le(0.2)] = BACKGROUND_NOISE,
    ) -> None:
        self.size, self.count, self.paired, self.seed, self.noise = size, count, paired, seed, noise
        self.colors: dict[str, Color] = {"a": color_a, "b": color_b}

    def __len__(self) -> int:
        """Samples of one epoch."""
        return self.count

    def numbers(self, number: int) -> tuple[int, int]:
        """Numbers of the objects that sample `number` shows in domains a and b."""
        if number < 0:
            raise IndexError(f"shapes: samples are numbered from 0, got {number}")
        return (number, number) if self.paired else (2 * number, 2 * number + 1)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0.

        Returns:
            sample: `a` and `b`, each [3, size, size] in [-1, 1].
        """
        return {domain: self._drawn(domain, [n])[0] for domain, n in zip("ab", self.numbers(number), strict=True)}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out objects, always the same ones; other objects in a than in b unless paired.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1].
        """
        shown = [self.numbers(number) for number in range(count)]
        return {domain: self._drawn(domain, [_PREVIEW + n[place] for n in shown]) for place, domain in enumerate("ab")}

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out objects in both domains, for evaluation: same centre and area, other form and colour.

        Returns:
            batch: `a` and `b`, each [count, 3, size, size] in [-1, 1]; `a[i]` and `b[i]` are the same object.
        """
        both = range(_PAIRS, _PAIRS + count)
        return {domain: self._drawn(domain, both) for domain in self.domains}

    def object(self, number: int) -> DrawnObject:
        """The object with a number."""
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        side = float(draws.uniform(0.26, 0.44))
        reach = side / math.sqrt(math.pi) + _MARGIN  # a circle of the same area is the wider of the two
        x, y = (float(value) for value in draws.uniform(reach, 1 - reach, 2))
        hue, *tones = (float(value) for value in draws.uniform(0, 1, 4))
        return DrawnObject((x, y), side, hue, (tones[0], tones[1], tones[2]), int(draws.integers(2**63)))

    def color_of(self, domain: str, number: int) -> Color:
        """The colour of an object in a domain."""
        return self.colors[domain]

    def _drawn(self, domain: str, numbers: Sequence[int]) -> Tensor:
        sides = height_width(self.size)
        images = torch.empty(len(numbers), 3, *sides)
        for image, number in zip(images, numbers, strict=True):
            drawn = draw(self.object(number), self.forms[domain], self.color_of(domain, number), max(sides), self.noise)
            image.copy_(to_tensor(resized(drawn.transpose(1, 2, 0), sides)))
        return images.mul_(2).sub_(1)


def draw(
    drawn: DrawnObject, form: Form, color: Color, size: int, noise: float = BACKGROUND_NOISE
) -> NDArray[np.float32]:
    """One object in one form and colour: [3, size, size] in [0, 1]."""
    canvas = Canvas.blank(size)  # its sides lie at -1 and 1
    draws = np.random.Generator(np.random.PCG64([drawn.noise, int(form == "circle")]))
    canvas.image[...] = draws.normal(0.15, noise, canvas.image.shape)
    canvas.fill_(rgb(color, drawn), coverage(canvas, drawn, form))
    return canvas.image.clip(0, 1)


def coverage(canvas: Canvas, drawn: DrawnObject, form: Form) -> NDArray[np.float32]:
    """How much of each pixel of a canvas an object covers: [H, W] in [0, 1]."""
    center = (2 * drawn.center[0] - 1, 2 * drawn.center[1] - 1)
    if form == "square":
        distance = canvas.box(center, (drawn.side, drawn.side), 0.0)
    else:
        distance = canvas.circle(center, 2 * drawn.side / math.sqrt(math.pi))
    return canvas.cover(distance)


def rgb(color: Color, drawn: DrawnObject) -> tuple[float, float, float]:
    """A named colour of an object, always brighter than the background."""
    bright, low, other = 0.75 + 0.25 * drawn.tones[0], 0.15 + 0.2 * drawn.tones[1], 0.15 + 0.2 * drawn.tones[2]
    if color == "red":
        return (bright, low, other)
    if color == "blue":
        return (low, other, bright)
    if color == "white":
        return (bright, bright, bright)
    return colorsys.hsv_to_rgb(drawn.hue, 0.7, bright)


LEAST_CONTRAST = 0.08
"""Grey contrast, of 1, below which an image has no object."""
LEAST_OVERLAP = 0.8
"""With the ideal form; drawn at 32 px, squares and circles have 0.92 and more."""


class ShapeMetrics(NamedTuple):
    """Result of `measure` over all images.

    Both kinds of metrics are needed. A generator that always returns the same blue circle has a perfect `domain`, and
    one that copies its input has a perfect `centroid`.

    Args:
        domain: fraction with the domain's colour and form.
        shape: fraction with the domain's form, from the mask of grey contrast alone.
        centroid: median distance in pixels between an object's centroids before and after; infinite if most are gone.
        iou: mean intersection over union of an object's masks before and after. A perfect translation between squares
            and circles of the same area has 0.83.
    """

    domain: float
    shape: float
    centroid: float
    iou: float


def measure(translations: Tensor, source: Tensor, form: Form, color: Color) -> ShapeMetrics:
    """Compares translations with their inputs.

    Args:
        translations: [n, 3, H, W] in [-1, 1].
        source: [n, 3, H, W] in [-1, 1], their inputs.
        form: of the target domain.
        color: of the target domain.
    """
    after, before = object_mask(translations), object_mask(source)
    right_form = has_form(after, form)
    moved = (centroids(after) - centroids(before)).norm(dim=1).nan_to_num(nan=math.inf)
    return ShapeMetrics(
        domain=float((right_form & has_color(translations, after, color)).double().mean()),
        shape=float(right_form.double().mean()),
        centroid=float(moved.median()),
        iou=float(overlap(after, before).mean()),
    )


class HeatmapMetrics(NamedTuple):
    """Result of `measure_heatmap` over all heat maps; one without information has `inside` equal to `outside`.

    Args:
        iou: mean intersection over union of the object with the pixels where the map is above half of its range.
        inside: mean of the map on the object, each map normalized to [0, 1].
        outside: mean of the map elsewhere.
    """

    iou: float
    inside: float
    outside: float


def measure_heatmap(heatmap: Tensor, source: Tensor) -> HeatmapMetrics:
    """Compares an attention's heat maps with the objects of its input images.

    Args:
        heatmap: [n, 1, h, w], any range.
        source: [n, 3, H, W] in [-1, 1], the input images.
    """
    least, most = heatmap.amin((1, 2, 3), True).double(), heatmap.amax((1, 2, 3), True).double()
    share = (heatmap.double() - least) / (most - least).clamp_min(1e-12)
    heat = F.interpolate(share, source.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    mask = object_mask(source)
    return HeatmapMetrics(
        iou=float(overlap(heat > 0.5, mask).mean()),
        inside=float(heat[mask].mean()),
        outside=float(heat[~mask].mean()),
    )


def object_mask(image: Tensor) -> Tensor:
    """Masks of the objects in images [n, 3, H, W], by grey contrast with the background: [n, H, W], empty without one.

    The background is the median of the image, for an object covers less than a quarter of it; the object's edge is
    where its contrast falls to one half.
    """
    grey = ((image.double() + 1) / 2).mean(1)
    contrast = (grey - grey.flatten(1).median(1).values[:, None, None]).abs()
    full = contrast.flatten(1).quantile(0.97, dim=1)[:, None, None]
    return (contrast > full / 2) & (full > LEAST_CONTRAST)


def has_form(mask: Tensor, form: Form) -> Tensor:
    """Whether each mask [n, H, W] overlaps well with a form of its area and centroid, and less with the other form."""
    fits = {name: overlap(mask, _ideal(mask, name)) for name in ("square", "circle")}
    other = "circle" if form == "square" else "square"
    return (fits[form] > LEAST_OVERLAP) & (fits[form] > fits[other])


def has_color(image: Tensor, mask: Tensor, color: Color) -> Tensor:
    """Whether the mean of each image [n, 3, H, W] under its mask [n, H, W] has a named colour."""
    weight = mask.double()[:, None]
    # Without an object the mean is NaN, which compares as false.
    mean = (((image.double() + 1) / 2) * weight).sum((2, 3)) / weight.sum((2, 3))
    red, green, blue = mean.unbind(1)
    if color == "red":
        return red - torch.maximum(green, blue) > 0.2
    if color == "blue":
        return blue - torch.maximum(red, green) > 0.2
    spread = mean.amax(1) - mean.amin(1)
    return spread < 0.15 if color == "white" else spread > 0.2


def centroids(mask: Tensor) -> Tensor:
    """Mean position of each mask [n, H, W] in pixels, x and y: [n, 2]; NaN for an empty mask."""
    weight = mask.double()
    area = weight.sum((1, 2))
    x = (weight.sum(1) * torch.arange(mask.shape[2])).sum(1) / area
    y = (weight.sum(2) * torch.arange(mask.shape[1])).sum(1) / area
    return torch.stack([x, y], 1)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of masks [n, H, W]: [n]; 0 where one of them is empty."""
    both = (first & second).sum((1, 2)).double()
    return both / (first | second).sum((1, 2)).clamp_min(1)


def _ideal(mask: Tensor, form: Form) -> Tensor:
    """The form with each mask's area and centroid: [n, H, W]."""
    area = mask.double().sum((1, 2))[:, None, None]
    center = centroids(mask)[:, :, None, None]
    x = torch.arange(mask.shape[2]) - center[:, 0]
    y = torch.arange(mask.shape[1])[:, None] - center[:, 1]
    if form == "square":
        return torch.maximum(x.abs(), y.abs()) <= area.sqrt() / 2
    return x.square() + y.square() <= area / math.pi
