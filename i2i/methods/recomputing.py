"""Gradient checkpointing: features that are computed again in the backward pass and not kept until then."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from i2i.methods.networks import trained_networks
from i2i.methods.translator import Translator
from i2i.nn.layers.spectral import Spectral

_MOVING = (Spectral, nn.modules.batchnorm._BatchNorm)
"""Layers that a forward changes: computed twice, they would move twice."""


def recompute_blocks(translator: Translator) -> int:
    """Makes the blocks of a translator's networks keep their inputs alone; gives the number of blocks.

    A block is a module that says so by an attribute `recomputable = True`, and within which no forward changes
    anything. Of nested ones the outermost counts.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174.
    """
    return sum(_wrap(network) for network in trained_networks(translator))


def _wrap(module: nn.Module) -> int:
    still = not any(isinstance(part, _MOVING) for part in module.modules())
    if not (still and getattr(module, "recomputable", False)):
        return sum(map(_wrap, module.children()))
    draws = any(isinstance(part, nn.modules.dropout._DropoutNd) for part in module.modules())
    module.forward = partial(checkpoint, module.forward, use_reentrant=False, preserve_rng_state=draws)
    return 1
