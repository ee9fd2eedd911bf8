"""The order of colour channels that a generator's weights expect."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

ChannelOrder = Literal["rgb", "bgr"]


def reordered(image: Tensor, order: ChannelOrder) -> Tensor:
    """An image [B, 3, H, W] from RGB to an order, or from it back to RGB, which is the same exchange."""
    return image.flip(1) if order == "bgr" else image
