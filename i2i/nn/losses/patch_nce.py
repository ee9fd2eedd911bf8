"""The loss that keeps a translation's patches recognizable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor, nn

from i2i.nn.functional.contrastive import patch_nce


class PatchNCE(nn.Module):
    """A patch of the translation must find the source's patch at the same place among those at other places.

    Args:
        temperature: tau, which the similarities are divided by.
        negatives: whether the other places are those of the same image, or of all images of the batch.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, equation 4; here the mean over layers, as in the official code.
    """

    def __init__(
        self, temperature: Annotated[float, Gt(0)] = 0.07, negatives: Literal["image", "batch"] = "image"
    ) -> None:
        super().__init__()
        self.temperature, self.negatives = temperature, negatives

    def generator(self, queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
        """The mean over layers and patches.

        Args:
            queries: [B, P, C] for each layer, of the translation.
            keys: [B, P, C] for each layer, of the source at the same places; they get no gradient.
        """
        return torch.stack([self._layer(*pair) for pair in zip(queries, keys, strict=True)]).mean()

    def _layer(self, queries: Tensor, keys: Tensor) -> Tensor:
        if self.negatives == "batch":
            queries, keys = queries.flatten(0, 1).unsqueeze(0), keys.flatten(0, 1).unsqueeze(0)
        return patch_nce(queries, keys.detach(), self.temperature).mean()
