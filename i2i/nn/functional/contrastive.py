"""Contrastive objectives on features; keys are what the queries are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.nn.functional.precision import upcast, without_autocast

MASKED = -10.0
"""Similarity that stands for a patch's own key among its negatives: far below any cosine, yet finite."""


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    r"""PatchNCE: cross entropy of finding the key at a query's own place among the keys of all places.

    .. math:: -\log \frac{e^{q_i \cdot k_i / \tau}}{e^{q_i \cdot k_i / \tau} + \sum_{j \ne i} e^{q_i \cdot k_j / \tau}
        + e^{-10 / \tau}}

    The last term stands for j = i in the sum, as in the official code; it is seen at large temperatures alone.

    Args:
        queries, keys: [B, P, C], of length 1; the negatives of a query are the other P - 1 keys of the same b.

    Returns:
        losses: [B, P].

    Source: Park et al., ECCV 2020, arXiv:2007.15651, equations 2 and 4; taesungp/contrastive-unpaired-translation
    b3ac297, `PatchNCELoss`.

    Example:
        >>> alike = torch.ones(1, 256, 1)
        >>> patch_nce(alike, alike)[0, 0]  # nothing to tell them apart by: ln 256
        tensor(5.5452)
    """
    with without_autocast(queries):  # divided by a temperature, half precision would leave two digits
        similarity = upcast(queries) @ upcast(keys).mT
        positive = similarity.diagonal(dim1=1, dim2=2)
        own = torch.eye(queries.shape[1], dtype=torch.bool, device=queries.device)
        negatives = similarity.masked_fill(own, MASKED)
        logits = torch.cat([positive.unsqueeze(2), negatives], dim=2) / temperature
        return logits.logsumexp(2) - positive / temperature
