"""How much the images of a batch differ, as one more feature map: a discriminator then sees collapsed variety."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from i2i.core.bounds import Positive

EPS = 1e-8
"""Added to the variance."""


class MinibatchDeviation(nn.Module):
    r"""Adds the standard deviation over a group of images, averaged over all features, as a constant channel.

    .. math:: s_m = \frac{1}{CHW} \sum_{chw} \sqrt{\frac{1}{G} \sum_g (x_{gmchw} - \mu_{mchw})^2 + \epsilon}

    Args:
        group: G, images of a group; where a batch does not divide by it, the largest smaller number that it does.
            Image b of a batch of G·M belongs to group b mod M.

    Source: Karras et al., ICLR 2018, arXiv:1710.10196, section 3; groups of 4: StyleGAN2, CVPR 2020, arXiv:1912.04958.
    """

    mixes_samples: ClassVar[bool] = True

    def __init__(self, group: Positive = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, C, H, W] to [B, C + 1, H, W]."""
        batch, channels, height, width = x.shape
        group = next(size for size in range(min(self.group, batch), 0, -1) if batch % size == 0)
        groups = x.reshape(group, batch // group, channels, height, width)
        deviation = (groups.var(0, unbiased=False) + EPS).sqrt().mean((1, 2, 3))
        plane = deviation.repeat(group).view(batch, 1, 1, 1).expand(-1, 1, height, width)
        return torch.cat([x, plane], 1)
