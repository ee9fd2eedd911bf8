"""Whether several batches may go through a network as one without changing any sample's result."""

from __future__ import annotations

from torch import nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_RANDOM = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    *(nn.RReLU, nn.MultiheadAttention, nn.RNNBase),
)
"""Layers of torch that draw random numbers in training; each layer of i2i says so itself."""


def is_batch_independent(network: nn.Module) -> bool:
    """Return whether each sample's result depends on that sample alone.

    Two kinds of layers break this: those that mix the samples of a batch, as batch norm in training, and those that
    draw random numbers, as a joint batch draws them in another order. torch's layers are known. Any other layer
    declares it by an attribute (or property) `mixes_samples = True` or `draws_random_numbers = True`.

    Args:
        network: the module to inspect, with all of its submodules.
    """
    return not any(
        getattr(module, "mixes_samples", False)
        or getattr(module, "draws_random_numbers", False)
        or (module.training and isinstance(module, (*BATCH_NORMS, *_RANDOM)))
        for module in network.modules()
    )
