"""Group norm."""

from __future__ import annotations

from torch import nn

from i2i.errors import OptionError


class GroupNorm(nn.GroupNorm):
    """Normalize each sample over groups of channels and their pixels.

    Args:
        num_features: channels C of the features [B, C, H, W].
        groups: number of groups, a divisor of C; 1 is layer norm, C is instance norm.
        eps: added to the variance.
        affine: whether to learn a scale [C], initially 1, and a shift [C], initially 0.

    Raises:
        OptionError: the number of groups does not divide the channels.

    Source: Wu and He, Group Normalization, ECCV 2018, arXiv:1803.08494.
    """

    def __init__(self, num_features: int, groups: int = 32, eps: float = 1e-5, affine: bool = True) -> None:
        if groups < 1 or num_features % groups:
            nearest = max(n for n in range(1, min(max(groups, 1), num_features) + 1) if num_features % n == 0)
            raise OptionError(
                "groups",
                f"expected a divisor of the {num_features} channels, got {groups}; the nearest below is {nearest}",
            )
        super().__init__(groups, num_features, eps=eps, affine=affine)
