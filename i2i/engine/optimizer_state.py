"""Conversion of an optimizer's state into tensors and JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def split_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimizer's state as tensors by `parameter_index.name`, and its other values as JSON types."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                plain[key] = value
    return tensors, {"state": plain}


def join_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """Load the state that `split_optimizer` returned.

    Args:
        optimizer: optimizer to load the state into; its parameter groups are kept.
        tensors: the tensors.
        plain: the other values.

    Raises:
        ValueError: the state does not belong to such an optimizer.
    """
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**plain["state"], **tensors}.items():
        if not isinstance(value, Tensor | int | float | None):
            raise ValueError(f"invalid optimizer state {key} = {str(value)[:40]!r}")
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]  # options come from the recipe, such as a new weight decay
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    if "fused" in optimizer.defaults:  # fused kernels do not check the sizes of their state
        for parameter, entries in optimizer.state.items():
            for name, value in entries.items():
                fits = isinstance(value, Tensor) and value.shape == parameter.shape
                counts = name == "step" and isinstance(value, Tensor) and value.numel() == 1
                if not (fits or counts or value is None):
                    raise ValueError(f"an optimizer's {name} does not fit a parameter of shape {list(parameter.shape)}")
