"""Contrastive objective of features."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.nn.functional.precision import upcast, without_autocast

MASKED = -10.0
"""Similarity that replaces a patch's own key among its negatives: far below any cosine, yet finite."""


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    r"""Compute PatchNCE: the cross entropy of classifying which of an image's keys is at a query's place.

    .. math:: -\log \frac{e^{q_i \cdot k_i / \tau}}{e^{q_i \cdot k_i / \tau} + \sum_{j \ne i} e^{q_i \cdot k_j / \tau}
        + e^{-10 / \tau}}

    The last term replaces j = i in the sum, as in the official code; it matters at large temperatures alone.

    Args:
        queries: unit vectors [B, P, C] at P places.
        keys: unit vectors [B, P, C] at the same places; a query's negatives are the other P - 1 keys of its sample.
        temperature: tau, greater than 0.

    Returns:
        [B, P], one loss for each query.

    Source: Park et al., ECCV 2020, arXiv:2007.15651, equations 2 and 4; taesungp/contrastive-unpaired-translation
    b3ac297, `PatchNCELoss`.

    Example:
        >>> alike = torch.ones(1, 256, 1)
        >>> patch_nce(alike, alike)[0, 0]  # nothing distinguishes the places: ln 256
        tensor(5.5452)
    """
    with without_autocast(queries):  # half precision, divided by a temperature, leaves two digits
        similarity = upcast(queries) @ upcast(keys).mT
        positive = similarity.diagonal(dim1=1, dim2=2)
        same_place = torch.eye(queries.shape[1], dtype=torch.bool, device=queries.device)
        negatives = similarity.masked_fill(same_place, MASKED)
        logits = torch.cat([positive.unsqueeze(2), negatives], dim=2) / temperature
        return logits.logsumexp(2) - positive / temperature
