"""Dropout that can stay on when a network is used."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Sets elements to 0 with some probability and scales the others up to keep the mean.

    Args:
        probability: of each element.
        at_inference: stays on in evaluation mode, as the only noise that pix2pix has.
    """

    def __init__(self, probability: float, at_inference: bool = False) -> None:
        super().__init__()
        self.probability, self.at_inference = probability, at_inference

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.probability, self.training or self.at_inference)
