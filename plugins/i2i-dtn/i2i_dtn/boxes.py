"""Attention by soft boxes, as in DA-GAN: masks that have gradients in the places and sizes of their boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def box_masks(boxes: Tensor, height: int, width: int, steepness: float = 10.0) -> Tensor:
    r"""Return soft masks of boxes, close to 1 inside and to 0 outside.

    .. math:: (\sigma(k (x - x_0)) - \sigma(k (x - x_1))) \cdot (\sigma(k (y - y_0)) - \sigma(k (y - y_1)))

    Args:
        boxes: centre x and y, width and height in pixels, [B, K, 4]; the centres of the first pixels are at 0.
        height: of the masks.
        width: of the masks.
        steepness: k, per pixel.

    Returns:
        masks [B, K, height, width].

    Source: our reading of Ma et al., DA-GAN, CVPR 2018, arXiv:1802.06454, section 3.1; Fu et al., RA-CNN, CVPR 2017,
    equation 5.
    """
    center, size = boxes[..., :2], boxes[..., 2:]
    low, high = center - size / 2, center + size / 2

    def along(axis: int, length: int) -> Tensor:
        place = torch.arange(length, device=boxes.device, dtype=boxes.dtype)
        start, end = low[..., axis, None], high[..., axis, None]
        return torch.sigmoid(steepness * (place - start)) - torch.sigmoid(steepness * (place - end))

    return along(1, height)[..., :, None] * along(0, width)[..., None, :]


def attend(image: Tensor, masks: Tensor) -> Tensor:
    """Return the parts of images [B, C, H, W] that masks [B, K, H, W] select, [B, K, C, H, W]."""
    return image[:, None] * masks[:, :, None]


def union(masks: Tensor) -> Tensor:
    """Return one mask [B, 1, H, W] of what any of the masks [B, K, H, W] selects."""
    return 1 - (1 - masks).prod(1, keepdim=True)
