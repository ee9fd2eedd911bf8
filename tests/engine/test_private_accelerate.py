"""What i2i relies on of Accelerate that has no public name."""

from __future__ import annotations

from accelerate import Accelerator

from i2i.engine.private_accelerate import forget_device, forget_precision


def test_one_process_may_use_several_precisions() -> None:
    for precision in ("no", "bf16", "bf16", "no"):
        forget_precision(precision)
        assert Accelerator(mixed_precision=precision, cpu=True).mixed_precision == precision


def test_the_device_can_be_chosen_again() -> None:
    forget_device()
    assert Accelerator(cpu=True).device.type == "cpu"
    forget_device()
