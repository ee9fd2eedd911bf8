"""The diversity loss of StarGAN v2."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional.precision import upcast


class Diversity(nn.Module):
    r"""Rewards different images of different styles: :math:`-\mathbb{E}[|x_1 - x_2|]`.

    Its weight is meant to fall to 0, because the reward has no upper bound.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865, equation 3.

    Example:
        >>> import torch
        >>> Diversity()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(-2.)
    """

    def forward(self, fake: Tensor, second_fake: Tensor) -> Tensor:
        """Compute the loss of images [B, C, H, W] in one style and in a second one."""
        return -(upcast(fake) - second_fake).abs().mean()
