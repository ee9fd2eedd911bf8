"""Random colour hints: single pixels of the true colours, as a person would dab them on the lines."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from i2i_paints.color import no_hints, rgb_to_yuv

FEW, MANY = 2, 16


def random_hints(color: Tensor, draws: np.random.Generator, most: int) -> Tensor:
    """Return hints [3, H, W] for an image, `BLANK` where there is none.

    With probability 0.4 there is no hint, with 0.3 there are 2 to 15, otherwise 16 to `most`. A hint is the colour of a
    random pixel with noise, rounded to multiples of 20; half of them spread to their left and right neighbours, and
    half to those above and below.

    Args:
        color: RGB [3, H, W] in [-1, 1].
        draws: generator of all random numbers.
        most: largest number of hints.

    Source: pfnet/PaintsChainer aa66794, img2imgDataset.py.
    """
    yuv = rgb_to_yuv(color[None])[0]
    _, height, width = yuv.shape
    hints = no_hints(color)
    kind = draws.random()
    if kind < 0.4:
        return hints
    count = int(draws.integers(FEW, MANY) if kind < 0.7 else draws.integers(min(MANY, most), most + 1))
    for _ in range(count):
        row, column = int(draws.integers(height)), int(draws.integers(width))
        noise = torch.from_numpy(draws.normal(0, 5, 3).astype(np.float32))
        value = ((yuv[:, row, column] + noise) / 20).floor().mul(20).clamp(0, 255)
        across, down = (int(draws.random() < 0.5) for _ in range(2))
        rows = slice(max(row - down, 0), row + down + 1)
        columns = slice(max(column - across, 0), column + across + 1)
        hints[:, row, columns] = value[:, None]
        hints[:, rows, column] = value[:, None]
    return hints


def dabs(color: Tensor, labels: Tensor, draws: np.random.Generator) -> Tensor:
    """Return hints [3, H, W] with one dab of 3 x 3 pixels in each of three regions of four, at random places.

    Args:
        color: RGB [3, H, W] in [-1, 1].
        labels: number of each pixel's region [H, W], 0 where no dab may be.
        draws: generator of all random numbers.
    """
    yuv, hints = rgb_to_yuv(color[None])[0], no_hints(color)
    for label in labels.unique():
        places = (labels == label).nonzero()
        row, column = (int(value) for value in places[int(draws.integers(len(places)))])
        if label and draws.random() < 0.75:
            around = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
            hints[:, *around] = yuv[:, row, column, None, None]
    return hints
