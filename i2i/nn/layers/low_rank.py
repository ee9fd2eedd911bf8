"""Low-rank adapters (LoRA): a frozen weight plus a trained matrix of low rank."""

from __future__ import annotations

import math
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from i2i.nn.functional.precision import without_autocast

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Types of layers that can have an adapter."""
UP, DOWN = ".adapter.up", ".adapter.down"
"""Ends of the names of an adapter's tensors in a state dict, after the name of the layer."""


class LowRank(nn.Module):
    r"""Low-rank change of a weight, :math:`W + \frac{\alpha}{r} B A`, with W seen as a matrix [n, m].

    B starts at 0, so that training begins with W; A is drawn as torch draws the weights of linear layers.

    Args:
        weight: W [n, ...].
        rank: r; at most the smaller side of the matrix is used.
        alpha: factor of the change, divided by `rank`.

    Source: Hu et al., LoRA, ICLR 2022, arXiv:2106.09685, section 4.1.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        used = min(rank, rows, columns)
        self.scale = alpha / rank
        self.up = nn.Parameter(weight.new_zeros(rows, used))
        self.down = nn.Parameter(nn.init.kaiming_uniform_(weight.new_empty(used, columns), a=math.sqrt(5)))

    def forward(self, weight: Tensor) -> Tensor:
        return merged(weight, self.up, self.down, self.scale)


def merged(weight: Tensor, up: Tensor, down: Tensor, scale: float) -> Tensor:
    """Return a weight [n, ...] plus `scale` times the product of `up` [n, r] and `down` [r, m].

    Example:
        >>> import torch
        >>> merged(torch.zeros(2, 2), torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]]), scale=0.5)
        tensor([[1.5000, 2.0000],
                [3.0000, 4.0000]])
    """
    with without_autocast(weight):
        return weight + scale * (up @ down).view_as(weight)


def adapt(layer: nn.Module, rank: int, alpha: float) -> None:
    """Give a layer an adapter, in place, and freeze its weight.

    The layer's state dict holds the weight under its usual name, and `adapter.up` and `adapter.down`. Whatever reads
    `layer.weight` gets the changed weight.

    Args:
        layer: a convolution or a linear layer.
        rank: rank of the change.
        alpha: factor of the change, divided by `rank`.
    """
    weight = cast(Tensor, layer.weight)
    weight.requires_grad_(False)
    parametrize.register_parametrization(layer, "weight", LowRank(weight, rank, alpha), unsafe=True)
    layer.register_state_dict_post_hook(_usual_names)  # type: ignore[no-untyped-call]
    layer.register_load_state_dict_pre_hook(_torch_names)  # type: ignore[no-untyped-call]


NAMES = {
    "weight": "parametrizations.weight.original",
    UP[1:]: "parametrizations.weight.0.up",
    DOWN[1:]: "parametrizations.weight.0.down",
}
"""Our names of a layer's tensors, and those of torch's parametrization."""


def _usual_names(layer: nn.Module, state: dict[str, Any], prefix: str, metadata: object) -> None:
    for ours, torchs in NAMES.items():
        if prefix + torchs in state:
            state[prefix + ours] = state.pop(prefix + torchs)


def _torch_names(layer: nn.Module, state: dict[str, Any], prefix: str, *rest: object) -> None:
    for ours, torchs in NAMES.items():
        if prefix + ours in state:
            state[prefix + torchs] = state.pop(prefix + ours)
