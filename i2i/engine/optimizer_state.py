"""What an optimizer remembers, as tensors and as what JSON can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def split_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors, by `parameter.name`, and as what JSON can hold."""
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
    """Gives an optimizer back what `split_optimizer` took apart.

    Raises:
        ValueError: it is of another kind.
    """
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**plain["state"], **tensors}.items():
        if not isinstance(value, Tensor | int | float | None):
            raise ValueError(f"an optimizer cannot remember {key} = {str(value)[:40]!r}")
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]  # the recipe's settings count, such as another weight decay
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    if "fused" in optimizer.defaults:  # such kernels do not look how large what they remember is
        for parameter, entries in optimizer.state.items():
            for name, value in entries.items():
                fits = isinstance(value, Tensor) and value.shape == parameter.shape
                counts = name == "step" and isinstance(value, Tensor) and value.numel() == 1
                if not (fits or counts or value is None):
                    raise ValueError(f"an optimizer's {name} does not fit a weight {list(parameter.shape)}")
