"""Global pooling of feature maps."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from i2i.nn.functional.whole_image import whole_image

Pool = Literal["average", "max"]


def pooled(x: Tensor, pool: Pool) -> Tensor:
    """Reduce features [B, C, H, W] over their pixels to [B, C].

    Where the features are a window of an image that is translated in tiles, the pixels are those of the whole image.

    Args:
        x: features [B, C, H, W].
        pool: `average` or `max`.

    Example:
        >>> import torch
        >>> pooled(torch.tensor([[[[1.0, 3.0]]]]), "average"), pooled(torch.tensor([[[[1.0, 3.0]]]]), "max")
        (tensor([[2.]]), tensor([[3.]]))
    """
    whole = whole_image()
    if whole is not None:
        statistics = whole.statistics(x)
        return (statistics.mean if pool == "average" else statistics.maximum).flatten(1).to(x.dtype)
    # Not adaptive_max_pool2d, whose CUDA gradient has no deterministic implementation.
    return x.mean((2, 3)) if pool == "average" else x.flatten(2).max(2).values
