"""Measures of translations between drawn shapes: is it the other domain's object, and is it still at its place?

Both sides are needed. A generator that always paints the same blue circle is accepted by every look at its domain
alone, and one that copies its input stays at its place to the pixel.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Form = Literal["square", "circle"]
Color = Literal["red", "blue", "white", "random"]

FAINT = 0.08
"""Grey contrast, of 1, below which there is no object."""
ROUGH = 0.8
"""Least overlap with the ideal form; drawn at 32 px, true squares and circles have 0.92 and more."""


class ShapeFigures(NamedTuple):
    """What `measure` finds over all images.

    Args:
        domain: share accepted as the domain's object, by colour and form together.
        shape: share accepted as the domain's form, from the grey contrast mask alone.
        centroid: median distance in pixels between the objects' centroids before and after; infinite if most are gone.
        iou: mean intersection over union of the objects' masks before and after. A perfect translation between squares
            and circles of one area has 0.83.
    """

    domain: float
    shape: float
    centroid: float
    iou: float


def measure(made: Tensor, source: Tensor, form: Form, color: Color) -> ShapeFigures:
    """Two-sided figures of translations.

    Args:
        made: [n, 3, H, W] in [-1, 1], the translations.
        source: [n, 3, H, W], what they were made from.
        form: what the objects should have become.
        color: of the target domain.
    """
    after, before = object_mask(made), object_mask(source)
    right_form = has_form(after, form)
    moved = (centroids(after) - centroids(before)).norm(dim=1).nan_to_num(nan=math.inf)
    return ShapeFigures(
        domain=float((right_form & has_color(made, after, color)).double().mean()),
        shape=float(right_form.double().mean()),
        centroid=float(moved.median()),
        iou=float(overlap(after, before).mean()),
    )


class HeatFigures(NamedTuple):
    """What `measure_heat` finds over all heat maps; one that says nothing has as much inside as outside.

    Args:
        iou: mean intersection over union of the object with where the map is above half of its range.
        inside: mean heat on the object, each map stretched to [0, 1].
        outside: mean heat elsewhere.
    """

    iou: float
    inside: float
    outside: float


def measure_heat(heatmap: Tensor, source: Tensor) -> HeatFigures:
    """Whether an attention looks at the object.

    Args:
        heatmap: [n, 1, h, w], any range.
        source: [n, 3, H, W] in [-1, 1], what it belongs to.
    """
    least, most = heatmap.amin((1, 2, 3), True).double(), heatmap.amax((1, 2, 3), True).double()
    share = (heatmap.double() - least) / (most - least).clamp_min(1e-12)
    heat = F.interpolate(share, source.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    thing = object_mask(source)
    return HeatFigures(
        iou=float(overlap(heat > 0.5, thing).mean()),
        inside=float(heat[thing].mean()),
        outside=float(heat[~thing].mean()),
    )


def object_mask(image: Tensor) -> Tensor:
    """Where the object is, by grey contrast with the background alone: [n, H, W], empty where there is none.

    The background is the median of the image, for an object covers less than a quarter of it; the object's edge is
    where half of its contrast is left.
    """
    grey = ((image.double() + 1) / 2).mean(1)
    contrast = (grey - grey.flatten(1).median(1).values[:, None, None]).abs()
    full = contrast.flatten(1).quantile(0.97, dim=1)[:, None, None]
    return (contrast > full / 2) & (full > FAINT)


def has_form(mask: Tensor, form: Form) -> Tensor:
    """Whether each mask [n, H, W] overlaps the ideal form of its area and centroid well, and better than the other."""
    fits = {name: overlap(mask, _ideal(mask, name)) for name in ("square", "circle")}
    other = "circle" if form == "square" else "square"
    return (fits[form] > ROUGH) & (fits[form] > fits[other])


def has_color(image: Tensor, mask: Tensor, color: Color) -> Tensor:
    """Whether each object [n, 3, H, W] under its mask [n, H, W] has the colour that a name says."""
    weight = mask.double()[:, None]
    mean = (((image.double() + 1) / 2) * weight).sum((2, 3)) / weight.sum((2, 3))  # NaN without an object, so refused
    red, green, blue = mean.unbind(1)
    if color == "red":
        return red - torch.maximum(green, blue) > 0.2
    if color == "blue":
        return blue - torch.maximum(red, green) > 0.2
    spread = mean.amax(1) - mean.amin(1)
    return spread < 0.15 if color == "white" else spread > 0.2


def centroids(mask: Tensor) -> Tensor:
    """Mean place of each mask [n, H, W] in pixels, x and y: [n, 2]; NaN for an empty one."""
    weight = mask.double()
    area = weight.sum((1, 2))
    x = (weight.sum(1) * torch.arange(mask.shape[2])).sum(1) / area
    y = (weight.sum(2) * torch.arange(mask.shape[1])).sum(1) / area
    return torch.stack([x, y], 1)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of masks [n, H, W]: [n]; 0 where one of them is empty."""
    both = (one & other).sum((1, 2)).double()
    return both / (one | other).sum((1, 2)).clamp_min(1)


def _ideal(mask: Tensor, form: Form) -> Tensor:
    """The form of each mask's area around its centroid: [n, H, W]."""
    area = mask.double().sum((1, 2))[:, None, None]
    center = centroids(mask)[:, :, None, None]
    x = torch.arange(mask.shape[2]) - center[:, 0]
    y = torch.arange(mask.shape[1])[:, None] - center[:, 1]
    if form == "square":
        return torch.maximum(x.abs(), y.abs()) <= area.sqrt() / 2
    return x.square() + y.square() <= area / math.pi
