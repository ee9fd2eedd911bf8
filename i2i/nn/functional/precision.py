"""Types and devices of tensors: where half precision is not enough, and random numbers drawn on the CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def upcast(x: Tensor) -> Tensor:
    """Return half precision as float32, and float32 and float64 unchanged.

    Example:
        >>> upcast(torch.ones(1, dtype=torch.bfloat16)).dtype, upcast(torch.ones(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def finest(device: torch.device) -> torch.dtype:
    """Return the most precise floating type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which operations on the device of `x` keep the types of their operands."""
    device_type = x.device.type
    # Where autocast is off anyway a context would only split an exported graph. The device of tensors without memory
    # ("meta") has no autocast, and asking for its state raises.
    if not torch.amp.is_autocast_available(device_type) or not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


def to_like(drawn: Tensor, like: Tensor) -> Tensor:
    """Move random numbers that were drawn on the CPU, where every device gets the same, to where they are needed.

    Args:
        drawn: of any shape; integers keep their type.
        like: a tensor whose device, and floating type, the result gets.
    """
    on_gpu = like.device.type == "cuda"
    # A GPU copies from page-locked memory between its other work, so the CPU does not wait for it.
    drawn = drawn.pin_memory() if on_gpu else drawn
    return drawn.to(like.device, like.dtype if drawn.is_floating_point() else None, non_blocking=on_gpu)
