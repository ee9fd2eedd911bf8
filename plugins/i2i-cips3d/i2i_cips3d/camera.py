"""Cameras on the unit sphere that look at the origin, and the rays through their pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

FRONT = math.pi / 2
"""Yaw and pitch of a camera on the z axis, which sees the front."""


class Rays(NamedTuple):
    """Rays of all pixels, row by row.

    Args:
        directions: unit vectors [R, 3] in the space of the camera, which looks along -z.
        depths: distances of the samples from the camera, [N], equal for all rays.
    """

    directions: Tensor
    depths: Tensor

    @property
    def points(self) -> Tensor:
        """Points [R, N, 3] in the space of the camera."""
        return self.directions[:, None] * self.depths[None, :, None]


def camera_rays(height: int, width: int, fov: float, near: float, far: float, samples: int) -> Rays:
    """Return the rays through the pixels of a square field of view.

    Args:
        height: rows; the first one is at y = 1.
        width: columns; the first one is at x = -1.
        fov: angle of the field of view in degrees.
        near: depth of the first sample.
        far: depth of the last sample.
        samples: number of samples of each ray.

    Source: PeterouZh/CIPS-3D 5956813, which takes them from pi-GAN, arXiv:2012.00926.
    """
    y, x = torch.meshgrid(torch.linspace(1, -1, height), torch.linspace(-1, 1, width), indexing="ij")
    z = torch.full_like(x, -1 / math.tan(math.radians(fov) / 2))
    directions = torch.stack([x, y, z], -1).flatten(0, 1)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return Rays(directions, torch.linspace(near, far, samples))


def camera_origin(pitch: Tensor, yaw: Tensor) -> Tensor:
    """Return the places [B, 3] of cameras on the unit sphere for pitch and yaw [B] in radians; see `FRONT`.

    A camera with a larger yaw has moved to its left.
    """
    return torch.stack([pitch.sin() * yaw.cos(), pitch.cos(), pitch.sin() * yaw.sin()], -1)


def camera_to_world(origin: Tensor) -> Tensor:
    """Return matrices [B, 4, 4] from the space of a camera to that of the world.

    The camera looks at the world's origin, with the world's y axis upwards.

    Args:
        origin: places of the cameras, [B, 3].
    """
    forward = -origin / origin.norm(dim=-1, keepdim=True)
    up = torch.tensor([0.0, 1.0, 0.0]).to(origin).expand_as(forward)
    right = torch.linalg.cross(forward, up)
    right = right / right.norm(dim=-1, keepdim=True)
    above = torch.linalg.cross(right, forward)
    above = above / above.norm(dim=-1, keepdim=True)
    matrix = torch.eye(4).to(origin).repeat(origin.shape[0], 1, 1)
    matrix[:, :3] = torch.stack([right, above, -forward, origin], -1)
    return matrix
