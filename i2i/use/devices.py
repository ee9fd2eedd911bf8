"""Refuse devices that the machine does not have."""

from __future__ import annotations

import torch

from i2i.errors import I2IError


def check_device(name: str, option: str = "device") -> None:
    """Refuse a device that cannot be used.

    Args:
        name: such as `cuda:1`.
        option: what the message calls the option that names it.

    Raises:
        I2IError: it cannot be used, and why.
    """
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise I2IError(f"{option} {name}: not available: {reason}; try {option} cpu") from error
