"""Coordinate grids, Gaussian heat maps, keypoints and the antialiased reduction of images.

Coordinates are (x, y) from -1 to 1 between the centres of the outermost pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import OptionError


class Keypoints(NamedTuple):
    """Keypoints of a batch of images.

    Args:
        value: places (x, y), [B, K, 2].
        jacobian: the local affine motion of each keypoint's surroundings, [B, K, 2, 2], or None.
    """

    value: Tensor
    jacobian: Tensor | None = None

    def detach(self) -> Keypoints:
        """Return the same keypoints without their graph."""
        return Keypoints(self.value.detach(), None if self.jacobian is None else self.jacobian.detach())


def coordinate_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return the coordinates (x, y) of each pixel, [height, width, 2], with the device and dtype of `like`."""
    y, x = (_centres(size, like) for size in (height, width))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def _centres(size: int, like: Tensor) -> Tensor:
    # The official grid is 2 (i / (n - 1)) - 1, which differs from linspace in the last bit.
    return 2 * (torch.arange(size, device=like.device).to(like.dtype) / (size - 1)) - 1


def gaussian_heatmaps(value: Tensor, height: int, width: int, variance: float) -> Tensor:
    """Return exp(-|z - value|² / (2 variance)) at each pixel z, [B, K, height, width].

    Args:
        value: places (x, y), [B, K, 2].
        height: rows.
        width: columns.
        variance: in squared units of the coordinates.
    """
    distance = coordinate_grid(height, width, value) - value[:, :, None, None]
    return torch.exp(-0.5 * distance.square().sum(-1) / variance)


class Antialias(nn.Module):
    """Reduce images by a Gaussian filter and by taking every (1 / scale)-th pixel, from the first one on.

    Args:
        channels: channels C of the images.
        scale: 1/2, 1/4 and so on.
        saved: whether the filter is part of the state dict, as it is in official checkpoints.
    """

    weight: Tensor

    def __init__(self, channels: int, scale: float, saved: bool = True) -> None:
        super().__init__()
        sigma = (1 / scale - 1) / 2
        self.step, self.half = round(1 / scale), round(4 * sigma)
        row = torch.exp(-((torch.arange(2 * self.half + 1) - self.half) ** 2) / (2 * sigma**2))
        kernel = torch.outer(row, row)
        self.register_buffer("weight", (kernel / kernel.sum()).expand(channels, 1, -1, -1).clone(), saved)

    def forward(self, image: Tensor) -> Tensor:
        """Return [B, C, ceil(H scale), ceil(W scale)]; the filter sees zeros beyond the border."""
        reduced = F.conv2d(image, self.weight, padding=self.half, groups=image.shape[1])
        return reduced[:, :, :: self.step, :: self.step]


def inverse(matrix: Tensor) -> Tensor:
    """Invert Jacobians [..., 2, 2]; by the formula of their determinant in exported files, as ONNX has no inverse."""
    if not torch.compiler.is_exporting():
        return torch.inverse(matrix)
    a, b, c, d = matrix.flatten(-2).unbind(-1)
    return torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2)) / (a * d - b * c)[..., None, None]


def check_scale(option: str, scale: float) -> None:
    """Refuse scales that are not 1 divided by an integer.

    Args:
        option: name of the option, for the message.
        scale: its value.

    Raises:
        OptionError: it is another number.
    """
    if not 0 < scale <= 1 or abs(1 / scale - round(1 / scale)) > 1e-9:
        raise OptionError(option, f"expected 1, 0.5, 0.25 or another 1/n, got {scale}")


def antialias(channels: int, scale: float, saved: bool = True) -> nn.Module:
    """Return the module that reduces images to `scale`; 1 leaves them unchanged and has no filter."""
    return nn.Identity() if scale == 1 else Antialias(channels, scale, saved)


def normalized_motion(
    source: Keypoints,
    driving: Keypoints,
    initial: Keypoints,
    relative: bool = True,
    relative_jacobian: bool = True,
    adapt_scale: bool = False,
) -> Keypoints:
    """Return the keypoints that animate a source as a driving frame moves against the first driving frame.

    Args:
        source: keypoints of the source, of a batch of one.
        driving: keypoints of the driving frame, of a batch of one.
        initial: keypoints of the first driving frame.
        relative: whether the difference from the first frame is added to the source's places; otherwise the driving
            frame's places are taken.
        relative_jacobian: with `relative`, whether the Jacobians are transferred in the same way.
        adapt_scale: whether movements are scaled by the square root of the ratio of both convex hulls' areas.

    Source: Siarohin et al., NeurIPS 2019, arXiv:2003.00196, section 3.4; AliaksandrSiarohin/first-order-model c027484.
    """
    if not relative:
        return driving
    scale = (_hull_area(source.value[0]) / _hull_area(initial.value[0])) ** 0.5 if adapt_scale else 1.0
    value = (driving.value - initial.value) * scale + source.value
    jacobian = driving.jacobian
    if relative_jacobian and jacobian is not None and initial.jacobian is not None and source.jacobian is not None:
        jacobian = jacobian @ torch.inverse(initial.jacobian) @ source.jacobian
    return Keypoints(value, jacobian)


def _hull_area(points: Tensor) -> float:
    """Return the area of the convex hull of points [K, 2], K >= 3 (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, points.double().tolist()))

    def chain(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        hull: list[tuple[float, ...]] = []
        for x, y in points:
            while len(hull) > 1 and (
                (hull[-1][0] - hull[-2][0]) * (y - hull[-2][1]) <= (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0])
            ):
                hull.pop()
            hull.append((x, y))
        return hull[:-1]

    hull = chain(ordered) + chain(ordered[::-1])
    pairs = zip(hull, hull[1:] + hull[:1], strict=True)
    return abs(sum(x * y2 - x2 * y for (x, y), (x2, y2) in pairs)) / 2
