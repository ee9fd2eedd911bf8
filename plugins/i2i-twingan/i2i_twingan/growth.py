"""Progressive growing: which size networks work at, and how far it is faded in, from the step alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any, ClassVar, NamedTuple

from annotated_types import Ge
from pydantic import ConfigDict

from i2i.errors import OptionError


@dataclass(frozen=True)
class GrowthStage:
    """One size of networks that grow: they fade into it, then they stay. A recipe writes it as a table.

    Args:
        size: side of the images in pixels.
        stable: steps at that size alone.
        fade: steps of the way to it from half of it, before.
        batch: at most so many images of each batch, where memory does not hold all of them; 0 for all.
    """

    size: Annotated[int, Ge(1)]
    stable: Annotated[int, Ge(0)]
    fade: Annotated[int, Ge(0)] = 0
    batch: Annotated[int, Ge(0)] = 0

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")


class Level(NamedTuple):
    """Where growing networks are at a step.

    Args:
        stage: its number, from 0.
        size: side of the images.
        alpha: share of the new size in [0, 1); 1 when it has been faded in.
        since: steps since the stage began.
        batch: how many images of a batch are taken at most, or 0 for all.
    """

    stage: int
    size: int
    alpha: float
    since: int
    batch: int = 0


class Growth:
    """Stages one after another; the last one never ends.

    Args:
        stages: in their order; each doubles the size of the one before.

    Raises:
        OptionError: sizes that do not double, a first stage that fades, or one that takes no step.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 2.

    Example:
        >>> growth = Growth([GrowthStage(4, stable=10), GrowthStage(8, stable=10, fade=4)])
        >>> growth.at(9).size, growth.at(10)[1:3], growth.at(12)[1:3], growth.at(14)[1:3]
        (4, (8, 0.0), (8, 0.5), (8, 1.0))
        >>> growth.milestones
        (0, 10, 14)
    """

    def __init__(self, stages: Sequence[GrowthStage]) -> None:
        _check(stages)
        self.stages = tuple(stages)
        lengths = [stage.fade + stage.stable for stage in self.stages]
        self.starts = (0, *accumulate(lengths[:-1]))
        """The step at which each stage begins."""
        self.steps = sum(lengths)
        """Steps of all stages."""

    def at(self, step: int) -> Level:
        """Where the networks are at a step, counted from 0."""
        number = bisect_right(self.starts, step) - 1
        stage, since = self.stages[number], step - self.starts[number]
        alpha = since / stage.fade if since < stage.fade else 1.0
        return Level(number, stage.size, alpha, since, stage.batch)

    @property
    def structure_changes(self) -> tuple[int, ...]:
        """Steps from which on other networks work than before: where fades begin and where they end."""
        ends = (start + stage.fade for start, stage in zip(self.starts, self.stages, strict=True))
        return tuple(sorted({*self.starts, *ends}))


def _check(stages: Sequence[GrowthStage]) -> None:
    if not stages:
        raise OptionError("stages", "expected at least one stage, got none")
    if stages[0].fade:
        raise OptionError("stages", f"the first stage has nothing to fade from, got fade = {stages[0].fade}")
    for before, stage in pairwise(stages):
        if stage.size != 2 * before.size:
            raise OptionError("stages", f"expected {2 * before.size} px after {before.size} px, got {stage.size}")
    for stage in stages[:-1]:
        if not stage.fade + stage.stable:
            raise OptionError("stages", f"the stage of {stage.size} px has no step")
