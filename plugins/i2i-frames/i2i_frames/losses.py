"""The losses `laplacian`, `charbonnier` and `mean`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor, nn

from i2i_frames.warping import laplacian_loss


class Laplacian(nn.Module):
    """Sum over the levels of the mean absolute difference of two Laplacian pyramids.

    Args:
        levels: number of levels; the sides of the images must be multiples of 2^levels, and larger than 2^levels.

    Source: Huang et al., RIFE, ECCV 2022, arXiv:2011.06294, section 3.4; hzwer/ECCV2022-RIFE 5d8adbd.
    """

    def __init__(self, levels: Annotated[int, Ge(1)] = 5) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare images [B, C, H, W] in [-1, 1]; the value is that of images in [0, 1]."""
        return laplacian_loss(prediction / 2, target / 2, self.levels)


class Charbonnier(nn.Module):
    r"""Mean of :math:`\sqrt{(x - y)^2 + \epsilon^2}`, a differentiable absolute difference.

    Args:
        epsilon: of images in [0, 1].

    Source: Bao et al., DAIN, CVPR 2019, arXiv:1904.00830, section 3.4; baowenbo/DAIN 7c727ac.
    """

    def __init__(self, epsilon: Annotated[float, Gt(0)] = 1e-6) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare images [B, C, H, W] in [-1, 1]; the value is that of images in [0, 1]."""
        return ((prediction - target).div(2).square() + self.epsilon**2).sqrt().mean()


class Mean(nn.Module):
    """Mean of an output that is a loss already, such as `distillation`."""

    def forward(self, value: Tensor) -> Tensor:
        return value.mean()
