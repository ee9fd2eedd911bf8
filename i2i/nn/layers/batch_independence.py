"""Whether two batches may go through a network as one."""

from __future__ import annotations

from torch import nn

_DEPENDENT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def is_batch_independent(network: nn.Module) -> bool:
    """Return whether each sample's result depends on that sample alone.

    Batch norm and dropout break this in training mode: the first mixes the statistics of a batch, the second draws in
    the order of the calls. Any other layer that breaks it declares so by an attribute `mixes_samples = True`.

    Args:
        network: the module to look at, with all of its submodules.
    """
    return not any(
        getattr(module, "mixes_samples", False) or (isinstance(module, _DEPENDENT) and module.training)
        for module in network.modules()
    )
