"""Private parts of Accelerate that i2i uses, tested in `tests/engine/test_private_accelerate.py`."""

from __future__ import annotations

from accelerate.state import AcceleratorState


def forget_precision(mixed_precision: str) -> None:
    """Let the next `Accelerator` use another precision: Accelerate allows one for each process.

    Args:
        mixed_precision: precision of the next accelerator; the state of a process with another precision is reset.
    """
    known = AcceleratorState._shared_state.get("_mixed_precision")
    if known not in (None, mixed_precision):
        AcceleratorState._reset_state()


def forget_device() -> None:
    """Let the next `Accelerator` choose its device again: Accelerate allows one for each process."""
    AcceleratorState._reset_state(reset_partial_state=True)
