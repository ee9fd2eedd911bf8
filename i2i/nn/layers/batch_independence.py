"""Whether two batches may go through a network as one."""

from __future__ import annotations

from torch import nn

_DEPENDENT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def depends_on_batch(network: nn.Module) -> bool:
    """Whether a sample's result depends on what else is in the batch, or on draws in the order of the calls.

    So do batch norm and dropout in training; any other layer that does says so by an attribute `mixes_images`.
    """
    return any(
        getattr(module, "mixes_images", False) or (isinstance(module, _DEPENDENT) and module.training)
        for module in network.modules()
    )
