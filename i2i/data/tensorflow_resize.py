"""Bilinear resizing as TensorFlow 1 computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bilinear_tf1(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize an image by bilinear interpolation on the grid of TensorFlow 1.

    Row i of the result is taken at row i · H / H' of the image. There are no half-pixel centres, so an enlarged image
    is shifted to the top left by up to half a pixel, and no antialiasing.

    Args:
        image: [H, W, C].
        size: height H' and width W' of the result.

    Returns:
        [H', W', C] in float32.

    Source: `tf.image.resize_images` of TensorFlow 1 with `align_corners=False`.

    Example:
        >>> bilinear_tf1(np.array([[[0.0], [2.0]]]), (1, 4)).flatten()
        array([0., 1., 2., 2.], dtype=float32)
    """
    values = image.astype(np.float32)
    for axis, target in ((1, size[1]), (0, size[0])):
        source = values.shape[axis]
        places = np.arange(target, dtype=np.float32) * np.float32(source / target)
        lower = np.floor(places).astype(np.int64)
        share = (places - lower).astype(np.float32).reshape((-1, 1) if axis else (-1, 1, 1))
        low, high = values.take(lower, axis), values.take(np.minimum(lower + 1, source - 1), axis)
        values = low + (high - low) * share
    return values
