"""Where half precision is not enough: statistics, power iterations, penalties and losses."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def upcast(x: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are.

    Example:
        >>> widen(torch.ones(1, dtype=torch.bfloat16)).dtype, widen(torch.ones(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def finest(device: torch.device) -> torch.dtype:
    """The most exact type that a device has."""
    return torch.float32 if device.type == "mps" else torch.float64


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on the device of `x` keep the types of their operands."""
    kind = x.device.type
    # Shape-only tensors ("meta") have no autocast, and asking for it raises.
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
