"""Gradient checkpointing: features inside blocks are recomputed in the backward pass instead of stored."""

from __future__ import annotations

from contextvars import copy_context
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from i2i.nn.layers.independence import BATCH_NORMS
from i2i.nn.layers.spectral import Spectral


def recompute_blocks(network: nn.Module) -> int:
    """Apply gradient checkpointing to the blocks of a network, in place, and return the number of blocks.

    A block is a module with an attribute `recomputable = True`. Blocks whose forward pass updates state (spectral norm,
    batch norm) are skipped, because recomputation would update it twice. Of nested blocks only the outermost is used.

    Args:
        network: network whose blocks store only their inputs during the forward pass.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174.
    """
    stateless = not any(isinstance(part, (Spectral, *BATCH_NORMS)) for part in network.modules())
    if not (stateless and getattr(network, "recomputable", False)):
        return sum(map(recompute_blocks, network.children()))
    forward = network.forward

    @wraps(forward)
    def checkpointed(*inputs: Any, **options: Any) -> Any:
        # The random state is always restored: any layer may draw random numbers without declaring it.
        if torch.compiler.is_compiling():
            return checkpoint(forward, *inputs, use_reentrant=False, **options)
        # The backward pass on a GPU runs in another thread, where context variables (reference path or not) differ.
        context = copy_context()
        return checkpoint(
            lambda *x, **more: context.copy().run(forward, *x, **more), *inputs, use_reentrant=False, **options
        )

    network.forward = checkpointed
    return 1
