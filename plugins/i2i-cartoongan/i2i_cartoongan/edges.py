"""Edges of images, and images whose edges are smoothed away."""

from __future__ import annotations

import torch
from kornia.filters import canny
from torch import Tensor
from torch.nn import functional as F

LOW, HIGH = 100, 200
"""Thresholds of Canny's gradient for brightness in [0, 255]."""
KERNEL = 5
"""Side of the dilation and of the blur, in pixels."""
BINOMIAL = (1, 4, 6, 4, 1)
"""OpenCV's Gaussian of 5 pixels where no deviation is given, times 16."""


def edges(image: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Canny's edges, one pixel wide.

    Strong pixels have a gradient (Sobel, not normalized, its Euclidean norm) above `high`; weak ones, above `low`,
    count where they are connected to a strong one. kornia finds both; which are connected is found here from the
    strong ones outwards, for kornia looks at the whole image again for each pixel of the longest chain.

    Args:
        image: [3, H, W] in [-1, 1].
        low, high: for brightness in [0, 255].

    Returns:
        mask: [H, W], bool.

    Source: Canny, TPAMI 1986. OpenCV's has the same thresholds, and unless told otherwise the sum of absolute values
    for a norm.
    """
    _, found = canny(((image + 1) / 2)[None], low / 255, high / 255, kernel_size=1, hysteresis=False)
    padded = F.pad(found[0, 0], (1, 1, 1, 1))  # so that every pixel has eight neighbours
    width = padded.shape[1]
    steps = torch.tensor([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    marked = padded.flatten() == 1
    weak = padded.flatten() == 0.5
    frontier = marked.nonzero().flatten()
    while len(frontier):
        reached = (frontier[:, None] + steps).flatten()
        frontier = reached[weak[reached]].unique()
        weak[frontier], marked[frontier] = False, True
    return marked.view(padded.shape)[1:-1, 1:-1]


def near_edges(image: Tensor) -> Tensor:
    """Where an edge is at most two pixels away in rows and columns: a mask [H, W] of an image [3, H, W] in [-1, 1]."""
    wide = F.max_pool2d(edges(image).to(image.dtype)[None], KERNEL, 1, KERNEL // 2)
    return wide[0] > 0


def smooth_edges(image: Tensor) -> Tensor:
    """A cartoon without its clear edges: blurred near them, and untouched elsewhere.

    Args:
        image: [3, H, W] in [-1, 1].

    Returns:
        image: of the same shape and range.

    Source: Chen, Lai and Liu, CartoonGAN, CVPR 2018, section 3.2.1: Canny's edges, dilated, and blurred by a Gaussian
    there. Sizes and thresholds are those of the reimplementations: 100 and 200, 5 x 5, 5 x 5.
    """
    return torch.where(near_edges(image), blur(image), image)


def blur(image: Tensor) -> Tensor:
    """The Gaussian of 5 x 5 pixels on an image [3, H, W], its border reflected."""
    line = torch.tensor(BINOMIAL, dtype=image.dtype) / sum(BINOMIAL)
    # Channels in the place of a batch: a convolution by groups, as kornia's filters have, takes ten times as long here.
    padded = F.pad(image[:, None], (KERNEL // 2,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))[:, 0]
