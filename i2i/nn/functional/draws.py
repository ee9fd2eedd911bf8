"""Numbers that are drawn on the CPU, where every device gets the same, and needed elsewhere."""

from __future__ import annotations

from torch import Tensor


def to_like(drawn: Tensor, like: Tensor) -> Tensor:
    """`drawn` on the device of `like`, and in its type too, if it holds no whole numbers.

    A GPU copies from page-locked memory between its other work, and nobody waits for it.
    """
    on_gpu = like.device.type == "cuda"
    drawn = drawn.pin_memory() if on_gpu else drawn
    return drawn.to(like.device, like.dtype if drawn.is_floating_point() else None, non_blocking=on_gpu)
