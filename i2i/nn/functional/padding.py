"""Padding of feature maps in their own type."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.precision import without_autocast


def pad(x: Tensor, sides: Sequence[int], mode: str = "reflect") -> Tensor:
    """Pad feature maps.

    A CPU's autocast pads by reflection in float32, which takes two casts of whole maps and gives the same numbers.

    Args:
        x: features [B, C, H, W].
        sides: pixels added at the left, right, top and bottom.
        mode: of `torch.nn.functional.pad`.
    """
    with without_autocast(x):
        return F.pad(x, list(sides), mode=mode)
