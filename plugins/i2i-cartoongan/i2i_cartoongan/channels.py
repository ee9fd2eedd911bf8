"""The order of colour channels inside a generator."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

ChannelOrder = Literal["rgb", "bgr"]


def reordered(image: Tensor, order: ChannelOrder) -> Tensor:
    """Convert images [B, 3, H, W] from RGB to a channel order, or from that order to RGB, which is the same."""
    return image.flip(1) if order == "bgr" else image
