"""Edges of images, and images with smoothed edges."""

from __future__ import annotations

import torch
from kornia.filters import canny
from torch import Tensor
from torch.nn import functional as F

from i2i.data.pixels import visible

LOW, HIGH = 100, 200
"""Thresholds of the Canny detector for the gradient of a brightness in [0, 255]."""
KERNEL = 5
"""Side of the dilation and of the blur, in pixels."""
BINOMIAL = (1, 4, 6, 4, 1)
"""OpenCV's default Gaussian of 5 pixels, times 16."""


def edges(image: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Detect Canny edges, one pixel wide.

    Strong pixels have a gradient (Sobel, not normalized, Euclidean norm) above `high`; weak pixels, above `low`, are
    edges if they are connected to a strong one. kornia classifies the pixels; the connected ones are searched here from
    the strong ones outwards, because kornia processes the whole image once for each pixel of the longest chain.

    Args:
        image: [C, H, W] in [-1, 1]; of many channels, edges are those of the first three.
        low: threshold of weak pixels, for a brightness in [0, 255].
        high: threshold of strong pixels, for a brightness in [0, 255].

    Returns:
        Mask [H, W], bool.

    Source: Canny, TPAMI 1986. OpenCV has the same thresholds, and by default the sum of absolute values as norm.
    """
    _, strength = canny(((visible(image) + 1) / 2)[None], low / 255, high / 255, kernel_size=1, hysteresis=False)
    padded = F.pad(strength[0, 0], (1, 1, 1, 1))  # so that every pixel has eight neighbours
    width = padded.shape[1]
    offsets = torch.tensor([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    marked = padded.flatten() == 1
    weak = padded.flatten() == 0.5
    frontier = marked.nonzero().flatten()
    while len(frontier):
        reached = (frontier[:, None] + offsets).flatten()
        frontier = reached[weak[reached]].unique()
        weak[frontier], marked[frontier] = False, True
    return marked.view(padded.shape)[1:-1, 1:-1]


def near_edges(image: Tensor) -> Tensor:
    """Return a mask [H, W] of the pixels within two rows and columns of an edge of an image [C, H, W] in [-1, 1]."""
    dilated = F.max_pool2d(edges(image).to(image.dtype)[None], KERNEL, 1, KERNEL // 2)
    return dilated[0] > 0


def smooth_edges(image: Tensor) -> Tensor:
    """Blur an image near its edges and leave it unchanged elsewhere.

    Args:
        image: [C, H, W] in [-1, 1].

    Returns:
        [C, H, W] in [-1, 1].

    Source: Chen, Lai and Liu, CartoonGAN, CVPR 2018, section 3.2.1: Canny edges, dilation, and a Gaussian blur
    there. Sizes and thresholds are those of the reimplementations: 100 and 200, 5 x 5, 5 x 5.
    """
    return torch.where(near_edges(image), blur(image), image)


def blur(image: Tensor) -> Tensor:
    """Blur an image [C, H, W] with a 5x5 Gaussian and reflection padding."""
    kernel = torch.tensor(BINOMIAL, dtype=image.dtype) / sum(BINOMIAL)
    # Channels are the batch here: the grouped convolution of kornia's filters takes ten times as long.
    padded = F.pad(image[:, None], (KERNEL // 2,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
