"""The random thin plate spline that moves images, and with which keypoints should move along."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_fomm.geometry import coordinate_grid


@dataclass(frozen=True)
class ThinPlateSpline:
    r"""The transform :math:`T(z) = A z + b + \sum_i w_i r_i^2 \log(r_i + 10^{-6})`, with :math:`r_i = |z - c_i|_1`.

    The same sum is added to both coordinates.

    Args:
        theta: (A, b), [B, 2, 3].
        control_points: c, [n, 2]; none with `control_weights` None.
        control_weights: w, [B, n], or None for an affine transform.

    Source: AliaksandrSiarohin/first-order-model c027484; arXiv:2003.00196, appendix.
    """

    theta: Tensor
    control_points: Tensor | None = None
    control_weights: Tensor | None = None

    def warp_points(self, points: Tensor) -> Tensor:
        """Return T of points (x, y), [B, K, 2]."""
        moved = (self.theta[:, None, :, :2] @ points[..., None]).squeeze(-1) + self.theta[:, None, :, 2]
        if self.control_weights is None or self.control_points is None:
            return moved
        distance = (points[:, :, None] - self.control_points).abs().sum(-1)
        bend = distance.square() * torch.log(distance + 1e-6) * self.control_weights[:, None]
        return moved + bend.sum(-1, keepdim=True)

    def jacobian(self, points: Tensor) -> Tensor:
        """Return dT/dz at points [B, K, 2] as [B, K, 2, 2]; it has a graph to the points."""
        with torch.enable_grad():
            points = points if points.requires_grad else points.detach().requires_grad_()
            moved = self.warp_points(points)
            rows = [torch.autograd.grad(moved[..., i].sum(), points, create_graph=True)[0] for i in range(2)]
        return torch.stack(rows, -2)

    def warp_images(self, images: Tensor, align_corners: bool) -> Tensor:
        """Return images [B, C, H, W] sampled at T of each pixel's place; the border is reflected."""
        batch, _, height, width = images.shape
        grid = coordinate_grid(height, width, images).reshape(1, -1, 2).expand(batch, -1, -1)
        places = self.warp_points(grid).view(batch, height, width, 2)
        return F.grid_sample(images, places, padding_mode="reflection", align_corners=align_corners)


def random_spline(normal: Tensor, points: int, sigma_affine: float, sigma_spline: float) -> ThinPlateSpline:
    """Return a random transform near the identity.

    Args:
        normal: numbers from N(0, 1), [B, 6 + points²].
        points: control points in a row; they form a square grid on [-1, 1]².
        sigma_affine: standard deviation of the deviation of (A, b) from the identity.
        sigma_spline: standard deviation of the control weights.
    """
    identity = torch.eye(2, 3, dtype=normal.dtype, device=normal.device)
    theta = identity + sigma_affine * normal[:, :6].view(-1, 2, 3)
    grid = coordinate_grid(points, points, normal).view(-1, 2)
    return ThinPlateSpline(theta, grid, sigma_spline * normal[:, 6:])
