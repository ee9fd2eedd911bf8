"""Progressive growing: sizes and stages, and the fading of images and features from one size to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any, ClassVar, NamedTuple

from annotated_types import Ge
from pydantic import ConfigDict
from torch import Tensor
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, square_side
from i2i.errors import OptionError, ShapeError

LATENT = 4
"""Side of the features between encoder and generator, and of the smallest image."""


@dataclass(frozen=True)
class GrowthStage:
    """One size of growing networks, written as a table in a recipe.

    Args:
        size: side of the images in pixels.
        stable: number of steps at that size after the fade.
        fade: number of steps of fading in from half of the size.
        batch: largest number of images of each batch that are used, where memory does not hold all; 0 for all.
    """

    size: Annotated[int, Ge(1)]
    stable: Annotated[int, Ge(0)]
    fade: Annotated[int, Ge(0)] = 0
    batch: Annotated[int, Ge(0)] = 0

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")


class Level(NamedTuple):
    """State of growing networks at a step.

    Args:
        stage: number of the stage, from 0.
        size: side of the images.
        alpha: share of the new size in [0, 1); 1 after the fade.
        since: number of steps since the stage started.
        batch: largest number of images of a batch that are used, or 0 for all.
    """

    stage: int
    size: int
    alpha: float
    since: int
    batch: int = 0


class Growth:
    """A sequence of stages, of which the last one never ends.

    Args:
        stages: the stages in their order; each doubles the size of the previous one.

    Raises:
        OptionError: sizes do not double, the first stage fades, or a stage has no steps.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 2.

    Example:
        >>> growth = Growth([GrowthStage(4, stable=10), GrowthStage(8, stable=10, fade=4)])
        >>> growth.at(9).size, growth.at(10)[1:3], growth.at(12)[1:3], growth.at(14)[1:3]
        (4, (8, 0.0), (8, 0.5), (8, 1.0))
        >>> growth.structure_changes
        (0, 10, 14)
    """

    def __init__(self, stages: Sequence[GrowthStage]) -> None:
        if not stages:
            raise OptionError("stages", "expected at least one stage, got none")
        if stages[0].fade:
            raise OptionError("stages", f"the first stage has nothing to fade from, got fade = {stages[0].fade}")
        for previous, stage in pairwise(stages):
            if stage.size != 2 * previous.size:
                raise OptionError(
                    "stages", f"expected {2 * previous.size} px after {previous.size} px, got {stage.size}"
                )
            if not previous.fade + previous.stable:
                raise OptionError("stages", f"the stage of {previous.size} px has no step")
        self.stages = tuple(stages)
        lengths = [stage.fade + stage.stable for stage in self.stages]
        self.starts = (0, *accumulate(lengths[:-1]))
        """First step of each stage."""
        self.steps = sum(lengths)
        """Number of steps of all stages."""

    def at(self, step: int) -> Level:
        """Return the state at a step, counted from 0."""
        number = bisect_right(self.starts, step) - 1
        stage, since = self.stages[number], step - self.starts[number]
        alpha = since / stage.fade if since < stage.fade else 1.0
        return Level(number, stage.size, alpha, since, stage.batch)

    @property
    def structure_changes(self) -> tuple[int, ...]:
        """Steps at which the active networks change: starts and ends of fades."""
        ends = (start + stage.fade for start, stage in zip(self.starts, self.stages, strict=True))
        return tuple(sorted({*self.starts, *ends}))


class Growing:
    """Mixin of networks that work at one of several sizes at a time."""

    size: int
    alpha: float

    @classmethod
    def check(cls, image_size: ImageSize, first_size: int = LATENT) -> None:
        """Refuse sizes that are not 4 px times a power of two."""
        for name, size in (("image_size", square_side(image_size)), ("first_size", first_size)):
            if size not in doublings(LATENT, size):
                raise OptionError(
                    name, f"expected a size that doubles from {LATENT} px (4, 8, 16, 32, ...), got {size}"
                )

    def grow_(self, size: int, alpha: float) -> None:
        """Set the size, and its share while it fades in."""
        self.size, self.alpha = size, alpha


def doublings(first: int, last: int) -> tuple[int, ...]:
    """Return the sizes from the first to the last, each twice the previous one.

    Example:
        >>> doublings(4, 32)
        (4, 8, 16, 32)
    """
    sizes = []
    while first <= last:
        sizes.append(first)
        first *= 2
    return tuple(sizes)


def downsample(x: Tensor) -> Tensor:
    """Return the means of 2x2 pixels: [B, C, H, W] to [B, C, H / 2, W / 2]."""
    return F.avg_pool2d(x, 2)


def upsample(x: Tensor) -> Tensor:
    """Repeat each pixel in 2x2: [B, C, H, W] to [B, C, 2 H, 2 W]; `downsample` inverts it exactly."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def blend(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    r"""Return :math:`(1 - \alpha)\, old + \alpha\, new`, which for 0 and 1 is exactly one of the two.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, figure 2.

    Example:
        >>> import torch
        >>> blend(torch.zeros(1), torch.ones(1), 0.25)
        tensor([0.2500])
    """
    return (1 - alpha) * old + alpha * new


def resize_and_fade(image: Tensor, size: int, alpha: float = 1.0) -> Tensor:
    """Resize real images to the current size of growing networks, faded in as their generated images are.

    Args:
        image: [B, C, S, S], where S is `size` or a multiple of it.
        size: side of the result.
        alpha: share of the new size; the rest is the image at half of the size.

    Returns:
        [B, C, size, size].

    Raises:
        ShapeError: S is no multiple of `size`.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196: real images are faded as generated ones are.
    """
    height, width = image.shape[-2:]
    if height != width or height % size:
        raise ShapeError(f"expected squares whose side is a multiple of {size} px, got {height} x {width}")
    factor = height // size
    while factor % 2 == 0:  # in steps of two as networks do, so that a fade starts with exactly the same values
        image, factor = downsample(image), factor // 2
    image = image if factor == 1 else F.avg_pool2d(image, factor)
    return image if alpha >= 1 else blend(upsample(downsample(image)), image, alpha)
