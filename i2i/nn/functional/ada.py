"""ADA's transformations of images, each sample with a transformation of its own; twice differentiable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""Low-pass filter of the wavelet sym6; its largest number is at place `PEAK`."""
PEAK = 5
SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
"""Low-pass filter of the wavelet sym2."""
MARGIN = len(SYM6) // 4
"""Pixels around an image that the filter of its resampling reaches."""
BANDS = 4


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices [B, 3, 3] that scale points of the plane, for factors [B]."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def rotation(angle: Tensor) -> Tensor:
    """Return matrices [B, 3, 3] that rotate points of the plane by angles [B] in radians."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    one = zero + 1
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices [B, 3, 3] that move points of the plane, for distances [B]."""
    moved = torch.eye(3, dtype=x.dtype, device=x.device).repeat(len(x), 1, 1)
    moved[:, :2, 2] = torch.stack([x, y], dim=1)
    return moved


def transform(image: Tensor, matrix: Tensor) -> Tensor:
    """Resample images under an affine transformation of the plane, without aliasing.

    The border is reflected as far as the transformations of the batch reach. Images are doubled with a wavelet's
    filter, sampled bilinearly, and halved with the same filter.

    Args:
        image: [B, C, H, W].
        matrix: [B, 3, 3], from points of the result to points of the image, in pixels from the centre, on the CPU.

    Source: Karras et al., Training GANs with limited data, NeurIPS 2020, arXiv:2006.06676, appendix B.
    """
    height, width = image.shape[2:]
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=matrix.dtype)
    corners = torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=matrix.dtype) * half
    reached = corners @ matrix[:, :2, :2].mT + matrix[:, None, :2, 2]
    most = torch.tensor([width - 1, height - 1], dtype=matrix.dtype)
    before, after = (
        (side.amax((0, 1)) + 2 * MARGIN - half).clamp_min(0).minimum(most).ceil().int().tolist()
        for side in (-reached, reached)
    )
    padded = F.pad(image, (before[0], after[0], before[1], after[1]), mode="reflect")
    doubled = _resample(padded, double=True)
    # In the doubled image, as in the result before it is halved, pixel j lies at j / 2 pixels of the original.
    places = [
        torch.arange(2 * (side + 2 * MARGIN), dtype=matrix.dtype) / 2 - MARGIN - centre
        for side, centre in zip((width, height), half.tolist(), strict=True)
    ]
    x, y = torch.meshgrid(*places, indexing="xy")
    points = torch.stack([x, y], dim=-1).flatten(0, 1) @ matrix[:, :2, :2].mT + matrix[:, None, :2, 2]
    points = 2 * (points + half + torch.tensor(before, dtype=matrix.dtype))
    sampled = bilinear(doubled, points.view(-1, *x.shape, 2).to(image.device, image.dtype))
    return _resample(sampled, double=False)


def bilinear(image: Tensor, points: Tensor) -> Tensor:
    """Sample images at points between the pixels; outside they are 0.

    Args:
        image: [B, C, H, W].
        points: [B, h, w, 2], column and row, where pixel centres are integers.

    Returns:
        [B, C, h, w]. Unlike `grid_sample` it can be differentiated twice with respect to the image.
    """
    height, width = image.shape[2:]
    floor = points.floor()
    sampled = torch.zeros((), dtype=image.dtype, device=image.device)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = floor[..., 0] + dx, floor[..., 1] + dy
        share = (1 - (points[..., 0] - column).abs()) * (1 - (points[..., 1] - row).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)
        values = image.flatten(2).gather(2, index[:, None].expand(-1, image.shape[1], -1))
        sampled = sampled + values.view(*image.shape[:2], *share.shape[1:]) * (share * inside)[:, None]
    return sampled


def color_matrix(brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """Return matrices [B, 4, 4] of colors (red, green, blue, 1): brightness first, saturation last.

    Args:
        brightness: [B], added.
        contrast: [B], factor.
        luma_flip: [B], 1 mirrors colors at the plane through 0 that is perpendicular to the gray axis; else 0.
        hue: [B], angle of a rotation around the gray axis in radians.
        saturation: [B], factor of the distance from the gray axis.

    Source: as `transform`.
    """
    eye = torch.eye(4, dtype=hue.dtype, device=hue.device)
    gray = torch.zeros_like(eye)
    gray[:3, :3] = 1 / 3
    shifted = eye.repeat(len(hue), 1, 1)
    shifted[:, :3, 3] = brightness[:, None]
    scaled = torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones_like(contrast)], dim=1))
    flipped = eye - 2 * gray * luma_flip[:, None, None]
    cos, sin = hue.cos()[:, None, None], hue.sin()[:, None, None]
    cross = torch.zeros_like(eye)
    cross[:3, :3] = eye.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turned = cos * eye + sin * cross + (1 - cos) * gray
    turned[:, 3, 3] = 1
    saturated = gray + (eye - gray) * saturation[:, None, None]
    saturated[:, 3, 3] = 1
    return saturated @ turned @ flipped @ scaled @ shifted


def change_colors(image: Tensor, matrix: Tensor) -> Tensor:
    """Apply color matrices.

    Args:
        image: [B, C, H, W] with one channel, or RGB images, several of them concatenated for conditional
            discriminators.
        matrix: [B, 4, 4], of `color_matrix`. Gray images take the mean of its rows.
    """
    if image.shape[1] == 1:
        row = matrix[:, :3].mean(1)
        return image * row[:, :3].sum(1)[:, None, None, None] + row[:, 3][:, None, None, None]
    colors = image.reshape(len(image), -1, 3, image.shape[2] * image.shape[3])
    return (matrix[:, None, :3, :3] @ colors + matrix[:, None, :3, 3:]).view_as(image)


def band_filters() -> Tensor:
    """Return filters [4, 43] that add up to the identity, each of a band of frequencies, the lowest first.

    Source: as `transform`, with the wavelet sym2 applied in three stages.
    """
    low = torch.tensor(SYM2, dtype=torch.float64)
    high = low * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    low, high = (_convolve(taps, taps.flip(0)) / 2 for taps in (low, high))
    bands = [torch.ones(1, dtype=torch.float64), *(torch.zeros(1, dtype=torch.float64) for _ in range(BANDS - 1))]
    for index in range(1, BANDS):
        spread = [torch.stack([band, torch.zeros_like(band)], dim=1).flatten()[:-1] for band in bands]
        bands = [_convolve(band, low) for band in spread]
        start = (len(bands[index]) - len(high)) // 2
        bands[index][start : start + len(high)] += high
    return torch.stack(bands)


def amplify_bands(image: Tensor, gains: Tensor, filters: Tensor) -> Tensor:
    """Amplify the bands of frequencies of each image; the border is reflected.

    Args:
        image: [B, C, H, W] with sides of at least 22 pixels.
        gains: [B, 4], one for each band.
        filters: of `band_filters`.
    """
    count, channels = image.shape[:2]
    taps = (gains @ filters.to(gains)).repeat_interleave(channels, 0)
    pad = filters.shape[1] // 2
    x = F.pad(image, (pad, pad, pad, pad), mode="reflect").flatten(0, 1).unsqueeze(0)
    x = F.conv2d(x, taps[:, None, None, :], groups=count * channels)
    x = F.conv2d(x, taps[:, None, :, None], groups=count * channels)
    return x.view_as(image)


def _resample(x: Tensor, double: bool) -> Tensor:
    """Double the sides, or remove the margin and halve them, so that the filter's peak stays where it is."""
    channels = x.shape[1]
    taps = torch.tensor(SYM6, dtype=torch.float64)
    taps = (taps / taps.sum()).to(x.device, x.dtype)
    for axis in (2, 3):
        kernel = taps.view(1, 1, *((-1, 1) if axis == 2 else (1, -1))).expand(channels, 1, -1, -1)
        stride: Sequence[int] = (2, 1) if axis == 2 else (1, 2)
        if double:
            spread = F.conv_transpose2d(x, 2 * kernel, stride=stride, groups=channels)
            x = spread.narrow(axis, PEAK, 2 * x.shape[axis])
        else:
            inner = x.narrow(axis, 1, x.shape[axis] - 2)
            x = F.conv2d(inner, kernel, stride=stride, groups=channels)
    return x


def _convolve(x: Tensor, y: Tensor) -> Tensor:
    """Return the full convolution of two rows of numbers."""
    return F.conv1d(x[None, None], y.flip(0)[None, None], padding=len(y) - 1)[0, 0]
