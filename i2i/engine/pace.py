"""How fast a device is at a recipe's kind of work, and what real steps of it take."""

from __future__ import annotations

import math
import mmap
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from i2i.engine.counting import Call, Like
from i2i.engine.heap import MOST
from i2i.engine.planning import Plan, images
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.recipe.recipe import Recipe

LARGEST = 2**28
"""Numbers that a call may be given to be tried; more could fill the memory of the device that plans."""
_CPU = torch.device("cpu")
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


def estimate(plan: Plan, device: torch.device, seconds: float = 15.0) -> float:
    """About how many seconds a step takes on this device.

    The calls that matter most are made again on random numbers, until next to nothing is left, at most for about so
    many seconds; each other one is counted at the rate of those of the same operation, or of all. On a CPU what the
    system takes to clear memory is told apart: calls made one by one ask for it at other times than those of a step,
    whose heap the plan knows. What Python and autograd take is left out.
    """
    calls = sorted(plan.work.items(), key=lambda item: _nominal(item[1].flops, item[1].moved), reverse=True)
    clearing = _clearing() if device.type == "cpu" else 0.0
    until = time.perf_counter() + seconds
    found: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    rest: dict[Any, float] = defaultdict(float)
    left = _nominal(plan.flops, plan.moved)
    for call, work in calls:
        nominal = _nominal(work.flops, work.moved)
        worth = left > 0.02 * _nominal(plan.flops, plan.moved) and time.perf_counter() < until
        each = _seconds(call, device, clearing) if worth else None
        left -= nominal
        if each is None:
            rest[call.operation] += nominal
        else:
            for key in (call.operation, None):
                found[key][0] += work.calls * each
                found[key][1] += nominal
    if not found[None][1]:
        return 0.0
    rates = {key: taken / nominal for key, (taken, nominal) in found.items() if nominal}
    counted = found[None][0] + sum(rates.get(key, rates[None]) * nominal for key, nominal in rest.items())
    # With many micro-batches the plan has more than was counted.
    counted *= _nominal(plan.flops, plan.moved) / (found[None][1] + sum(rest.values()))
    return counted + plan.asked * clearing


def _nominal(flops: int, moved: int) -> float:
    """Seconds of work where a byte takes as long as ten floating point operations."""
    return flops / 1e11 + moved / 1e10


def _clearing() -> float:
    """Seconds that the first use of a byte of memory takes longer than another one."""
    block = torch.empty(4 * MOST, dtype=torch.uint8)  # large enough to come from the system
    first, second = (_timed(block.zero_) for _ in range(2))
    return max(0.0, first - second) / block.nbytes


def _cleared() -> int:
    """Bytes that the system has cleared for this process so far; 0 where it does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt * mmap.PAGESIZE


def _seconds(call: Call, device: torch.device, clearing: float) -> float | None:
    """Of one call, or None where it is too large to be tried or cannot be made of random numbers."""

    def made(value: Any) -> Any:
        if isinstance(value, Like):
            blank = torch.empty_strided(value.shape, value.strides, dtype=value.dtype, device=device)
            return blank.normal_() if value.dtype.is_floating_point else blank.zero_()
        if isinstance(value, tuple):
            return [made(one) for one in value]
        return device if isinstance(value, torch.device) else value

    if sum(math.prod(one.shape) for one in tree_leaves((call.given, call.named)) if isinstance(one, Like)) > LARGEST:
        return None
    try:
        given, named = made(call.given), {name: made(value) for name, value in call.named}
        with torch.no_grad():
            return _each(lambda: call.operation(*given, **named), device, clearing)
    except (RuntimeError, IndexError, TypeError):
        return None


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


def _each(work: Callable[[], object], device: torch.device, clearing: float) -> float:
    """Seconds of one call, of a short one the middle of what was seen, without the clearing of memory.

    In a step some calls are given what was just made, and others what has long left the processor's caches. On a CPU
    the mean of both counts.
    """

    def once() -> float:
        before = _cleared()
        seconds = _timed(work, device)
        return max(0.0, seconds - (_cleared() - before) * clearing)

    _timed(work, device)
    times: list[float] = []
    until = time.perf_counter() + 0.005
    while not times or time.perf_counter() < until:
        times.append(once())
    warm = sorted(times)[len(times) // 2]
    if device.type != "cpu":
        return warm
    _sweep()
    return (warm + once()) / 2


@cache
def _others() -> Tensor:
    return torch.zeros(2**26, dtype=torch.uint8)


def _sweep() -> None:
    """Fills a processor's caches with something else."""
    _others().add_(1)


def _timed(work: Callable[[], object], device: torch.device = _CPU) -> float:
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


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
