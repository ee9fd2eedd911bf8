"""Gradient checkpointing: features inside blocks are recomputed in the backward pass instead of stored."""

from __future__ import annotations

from contextvars import copy_context
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from i2i.nn.layers.convolution import Spectral
from i2i.nn.layers.independence import BATCH_NORMS


def recompute_blocks(network: nn.Module) -> int:
    """Checkpoint the blocks of a network, in place, and return their number.

    A block is a module with an attribute `recomputable = True`. It is left as it is if a forward changes its state
    (spectral norm, batch norm): recomputed, it would change twice. Of nested blocks the outermost counts.

    Args:
        network: its blocks store their inputs alone from now on.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174.
    """
    stateless = not any(isinstance(part, (Spectral, *BATCH_NORMS)) for part in network.modules())
    if not (stateless and getattr(network, "recomputable", False)):
        return sum(map(recompute_blocks, network.children()))
    forward = network.forward

    @wraps(forward)
    def checkpointed(*inputs: Any) -> Any:
        # The random state is always restored: any layer may draw, also one that nobody has declared.
        if torch.compiler.is_compiling():
            return checkpoint(forward, *inputs, use_reentrant=False)
        # A GPU's backward pass runs in another thread, which has other context variables (reference path or not).
        context = copy_context()
        return checkpoint(lambda *x: context.copy().run(forward, *x), *inputs, use_reentrant=False)

    network.forward = checkpointed
    return 1
