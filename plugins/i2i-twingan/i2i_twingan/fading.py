"""Growing images: halving, doubling, and the mixture of an old size with a new one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ShapeError


def halve(x: Tensor) -> Tensor:
    """Means of 2x2 pixels: [B, C, H, W] to [B, C, H / 2, W / 2]."""
    return F.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    """Each pixel four times: [B, C, H, W] to [B, C, 2 H, 2 W]; `halve` gives back the same bits."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def blend(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    r"""The mixture :math:`(1 - \alpha)\, old + \alpha\, new`; at 0 and 1 it is one of the two, bit for bit.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, figure 2.

    Example:
        >>> import torch
        >>> blend(torch.zeros(1), torch.ones(1), 0.25)
        tensor([0.2500])
    """
    return (1 - alpha) * old + alpha * new


def shrunk(image: Tensor, size: int, alpha: float = 1.0) -> Tensor:
    """Images as networks that grow see them: at a size, faded in from half of it as the networks are.

    Args:
        image: [B, C, S, S], where S is `size` or a multiple of it.
        size: side of what they see.
        alpha: share of the new size; of the rest every 2x2 pixels are their mean.

    Returns:
        [B, C, size, size].

    Raises:
        ShapeError: S is no multiple of `size`.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196: real images fade as the generated ones do.
    """
    height, width = image.shape[-2:]
    if height != width or height % size:
        raise ShapeError(f"expected squares whose side is a multiple of {size} px, got {height} x {width}")
    seen, factor = image, height // size
    while factor % 2 == 0:  # one after another, as networks do: the same bits as a fade that has not begun
        seen, factor = halve(seen), factor // 2
    seen = seen if factor == 1 else F.avg_pool2d(seen, factor)
    return seen if alpha >= 1 else blend(double(halve(seen)), seen, alpha)
