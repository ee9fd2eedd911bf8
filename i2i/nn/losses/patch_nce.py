"""The contrastive loss between patches of a source and its translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.contrastive import patch_nce
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.functional.precision import upcast


class PatchNCE(nn.Module):
    """PatchNCE: classify which of the source's patches is at the same place as a patch of the translation.

    Args:
        temperature: tau, by which similarities are divided; greater than 0.
        negatives: whether the patches at other places come from the same `image` or from all images of the `batch`.
        similarity: `dot` product of the vectors, as in CUT, or their `cosine`, as in DCLGAN. Heads divide vectors by
            their norm plus 1e-7, so these differ in the seventh digit.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, equation 4; here the mean over layers, as in the official code.
    """

    def __init__(
        self,
        temperature: Annotated[float, Gt(0)] = 0.07,
        negatives: Literal["image", "batch"] = "image",
        similarity: Literal["dot", "cosine"] = "dot",
    ) -> None:
        super().__init__()
        self.temperature, self.negatives, self.similarity = temperature, negatives, similarity

    def generator(self, queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
        """Average the loss over layers and patches.

        Args:
            queries: unit vectors [B, P, C] of the translation, for each layer.
            keys: unit vectors [B, P, C] of the source at the same places, for each layer; they get no gradient.
        """
        if self.negatives == "batch":
            queries, keys = ([one.flatten(0, 1).unsqueeze(0) for one in vectors] for vectors in (queries, keys))
        if optimizations_enabled() and len({(one.shape, one.dtype) for one in queries}) == 1:
            # Layers of one shape are samples of one batch, as negatives come from the same sample.
            return self._layer(torch.cat(list(queries)), torch.cat(list(keys)))
        return torch.stack([self._layer(*pair) for pair in zip(queries, keys, strict=True)]).mean()

    def _layer(self, queries: Tensor, keys: Tensor) -> Tensor:
        if self.similarity == "cosine":
            queries, keys = (F.normalize(upcast(vectors), dim=2, eps=1e-8) for vectors in (queries, keys))
        return patch_nce(queries, keys.detach(), self.temperature).mean()
