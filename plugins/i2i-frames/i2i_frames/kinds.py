"""The kind of networks that generate a frame between two frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import i2i

if TYPE_CHECKING:  # every command loads this file, most of them without torch
    from torch import Tensor


class FrameNetwork(Protocol):
    """Generates a frame between two frames.

    `any_time` says whether other times than 1/2 are possible, `multiple` of what the sides of the frames must be.
    """

    any_time: bool
    multiple: int

    def interpolate(self, first: Tensor, last: Tensor, time: Tensor) -> Any:
        """Return the frame between two frames.

        Args:
            first: frames [B, 3, H, W] in [0, 1].
            last: frames after them.
            time: between 0 and 1, a plane [B, 1, H, W].

        Returns:
            A tuple with the field `image`, [B, 3, H, W], and perhaps `inverse_depth`, of both frames,
            [B, 2, H, W].
        """

    def supervise(self, first: Tensor, last: Tensor, time: Tensor, truth: Tensor) -> tuple[Any, Any]:
        """Return the same in training, and what a teacher that sees the true frame gives; None without a teacher."""


FRAME_NETWORK: i2i.Kind[FrameNetwork] = i2i.Kind("frame_network", FrameNetwork, offered=(), suggested=())
