"""How fast a device is at a recipe's kind of work, and what real steps of it take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from i2i.recipe.recipe import Recipe
from i2i.training.counting import Convolution
from i2i.training.planning import Plan, images
from i2i.training.stepper import Stepper, make_accelerator

_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """Two real steps.

    Args:
        seconds: of the second one.
        peak: bytes, weights included; None where the system does not say.
    """

    seconds: float
    peak: int | None


def estimate(plan: Plan, device: torch.device, seconds: float = 1.0) -> float:
    """About how many seconds a step takes: its work over the rates of this device, measured for about a second.

    Convolutions and matrix products count as so many of the recipe's own largest convolution, forward and backward;
    all other operations as so many bytes of a multiplication of its image by a number.
    """
    if plan.trunk is None:
        return 0.0
    flops, moved = rates(plan.trunk, device, seconds)
    return plan.flops / flops + plan.moved / moved


def rates(trunk: Convolution, device: torch.device, seconds: float = 1.0) -> tuple[float, float]:
    """Floating point operations a second of a convolution, and bytes a second of a multiplication."""
    image = torch.randn(trunk.image, device=device, dtype=trunk.dtype, requires_grad=True)
    weight = torch.randn(trunk.weight, device=device, dtype=trunk.dtype, requires_grad=True)
    out = torch.convolution(image, weight, None, *trunk.how)
    places = (image if trunk.how[3] else out)[
        0, 0
    ].numel()  # a transposed one has a product at each place it comes from
    gradient = torch.ones_like(out)

    def both() -> None:
        torch.autograd.grad(torch.convolution(image, weight, None, *trunk.how), (image, weight), gradient)

    def multiply() -> None:
        torch.mul(image.detach(), 1.5)

    flops = 3 * 2 * places * weight.numel() * image.shape[0]
    return flops / _each(both, device, 0.8 * seconds), 2 * image.nbytes / _each(multiply, device, 0.2 * seconds)


def measure(recipe: Recipe) -> Measured:
    """Takes two real steps of random images on this device."""
    accelerator = make_accelerator(recipe.train.precision)
    device = accelerator.device
    before = _forget_peak(device)
    stepper = Stepper(recipe, accelerator)
    for _ in range(2):
        batches = [{name: _drawn(one) for name, one in batch.items()} for batch in images(stepper)]
        _wait(device)
        began = time.perf_counter()
        stepper.step(*batches)
        _wait(device)
    seconds = time.perf_counter() - began
    peak = _peak(device)
    return Measured(seconds, None if peak is None or before is None else peak - before)


def _drawn(blank: Tensor) -> Tensor:
    return torch.rand_like(blank) * 2 - 1 if blank.is_floating_point() else torch.zeros_like(blank)


def _each(work: Callable[[], None], device: torch.device, seconds: float) -> float:
    """Seconds of one call, the fastest third of what was seen: other work on the machine only makes it slower."""
    work()
    _wait(device)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 3]


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _forget_peak(device: torch.device) -> int | None:
    """Bytes in use now, from which the peak begins anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.current_allocated_memory())
    if sys.platform != "linux":
        return None
    try:
        _FORGET.write_text("5")
    except OSError:
        return None  # a container may forbid it
    return _resident("VmRSS")


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.current_allocated_memory())  # no peak is known there: what the last step left
    return _resident("VmHWM") if sys.platform == "linux" else None


def _resident(what: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 2**10 for line in lines if line.startswith(f"{what}:"))
