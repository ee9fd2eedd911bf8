"""Distances between images, and between anything else of equal shape."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional.precision import upcast
from i2i.nn.functional.structural_similarity import structural_similarity


class L1(nn.Module):
    r"""Mean absolute difference, :math:`\mathbb{E}[|x - y|]`.

    Example:
        >>> import torch
        >>> L1()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(2.)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (upcast(prediction) - target).abs().mean()


class L2(nn.Module):
    r"""Mean squared difference, :math:`\mathbb{E}[(x - y)^2]`.

    Example:
        >>> import torch
        >>> L2()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(5.)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (upcast(prediction) - target).square().mean()


class SSIM(nn.Module):
    r"""Structural dissimilarity of images, :math:`(1 - \mathrm{SSIM}) / 2` averaged over windows; 0 for equal images.

    Args:
        window: side of the windows in pixels.

    Source: Wang et al., IEEE TIP 2004; as a loss Zhao et al., IEEE TCI 2017, arXiv:1511.08861.
    """

    def __init__(self, window: int = 11) -> None:
        super().__init__()
        self.window = window

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (1 - structural_similarity(prediction, target, self.window).mean()) / 2
