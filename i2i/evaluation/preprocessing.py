"""Preprocessing of the protocols: from 8-bit pixels to the input of a network, exactly as a named tool does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from i2i.evaluation.image_sets import Pixels

SIDE = 299
"""Height and width of Inception's input in pixels."""


def torch_fidelity(pixels: Pixels) -> Tensor:
    """Resize as TensorFlow 1 does, bilinear without antialiasing and half-pixel centers, to (x - 128) / 128."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(_batch(pixels), size=(SIDE, SIDE), align_corners=False)
    return (resized - 128) / 128


def pytorch_fid(pixels: Pixels) -> Tensor:
    """Resize bilinear without antialiasing, with half-pixel centers, to 2 x / 255 - 1."""
    return 2 * F.interpolate(_batch(pixels) / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def clean_fid(pixels: Pixels) -> Tensor:
    """Resize each channel as floats with Pillow's antialiased bicubic filter, clip, to (x - 128) / 128."""
    return (_resize_floats(pixels, SIDE) - 128) / 128


def pillow_bilinear(pixels: Pixels) -> Tensor:
    """Resize with Pillow's antialiased bilinear filter to 8 bits, to 2 x / 255 - 1."""
    resized = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return _batch(resized) / 255 * 2 - 1


def square(side: int) -> Callable[[Pixels], Tensor]:
    """Return the preprocessing of other networks: `clean_fid`'s resizing to a side, to [-1, 1].

    Args:
        side: height and width in pixels.
    """

    return lambda pixels: _resize_floats(pixels, side) / 127.5 - 1


def _resize_floats(pixels: Pixels, side: int) -> Tensor:
    """Resize each channel without rounding in between, and clip to [0, 255]; [1, 3, side, side]."""
    channels = [
        Image.fromarray(np.array(pixels[..., channel], np.float32)).resize((side, side), Image.Resampling.BICUBIC)
        for channel in range(3)
    ]
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in channels]).clip(0, 255))[None]


def _batch(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.array(pixels, np.float32)).permute(2, 0, 1)[None].contiguous()
