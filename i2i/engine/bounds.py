"""What limits a training step on a GPU: launches, memory traffic or arithmetic, and what to switch on against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i2i.engine.planning import Plan
from i2i.recipe.tables import TrainOptions

Bound = Literal["launches", "memory", "arithmetic"]
LAUNCH = 6e-6
"""Seconds that the CPU needs for an operation of an eager step; 5 to 8 µs where Python is quick."""
REACHED = 0.85
"""Share of a GPU's memory bandwidth that kernels reach."""


@dataclass(frozen=True)
class GPU:
    """Peak rates of a GPU, of its data sheet, without sparsity.

    Args:
        bandwidth: bytes per second.
        fp32: FLOP per second in float32.
        tf32: FLOP per second of float32 matrix products on tensor cores; that of `fp32` where there is no TF32.
        half: FLOP per second in bf16 or fp16 with float32 sums.
    """

    bandwidth: float
    fp32: float
    tf32: float
    half: float


GPUS = {
    "h200": GPU(4.8e12, 67e12, 495e12, 989e12),
    "h100": GPU(3.35e12, 67e12, 495e12, 989e12),
    "a100": GPU(2.0e12, 19.5e12, 156e12, 312e12),
    "rtx4090": GPU(1.0e12, 82.6e12, 82.6e12, 165e12),
    "t4": GPU(0.32e12, 8.1e12, 8.1e12, 65e12),
}


@dataclass(frozen=True)
class Limits:
    """Least seconds of a step by each of its three limits, on paper.

    Args:
        launches: of the operations' launches by the CPU; 0 in a captured graph.
        memory: of all bytes that operations read and write.
        arithmetic: of matrix products and convolutions.
    """

    launches: float
    memory: float
    arithmetic: float

    @property
    def bound(self) -> Bound:
        """The largest of the three."""
        values: dict[Bound, float] = {
            "launches": self.launches,
            "memory": self.memory,
            "arithmetic": self.arithmetic,
        }
        return max(values, key=lambda name: values[name])


def limits(plan: Plan, gpu: GPU, train: TrainOptions) -> Limits:
    """Return the limits of a planned step on a GPU.

    Args:
        plan: of `i2i.engine.planning.predict` for the device `cuda`.
        gpu: the GPU's rates.
        train: the recipe's options, for the precision and whether the step is captured.
    """
    half = train.precision in ("bf16", "fp16")
    rate = gpu.half if half else gpu.fp32 if train.precision == "fp64" or train.tf32 is False else gpu.tf32
    captured = train.graph or train.compile == "reduce-overhead"
    return Limits(
        launches=0.0 if captured else plan.launches * LAUNCH,
        memory=(plan.traffic + plan.product_traffic) / (REACHED * gpu.bandwidth),
        arithmetic=plan.flops / rate,
    )


def switches(bound: Bound, train: TrainOptions) -> list[str]:
    """Return settings that raise a limit and are not on yet, each with its price."""
    half = train.precision in ("bf16", "fp16")
    found = []
    if bound == "launches":
        found += (
            []
            if train.graph or train.compile
            else ["train.graph=true (a captured step, where the method allows it: the same numbers)"]
        )
        found += [] if train.fuse else ["train.fuse=true (fewer operations: equal up to rounding)"]
        if half and not (train.weight_copies or train.compile or train.graph):
            found += ["train.weight_copies=true (casts weights together: the same numbers)"]
        batch = max(8, 2 * train.batch_size)
        found += [f"train.batch_size={batch} (another training: more images for the same launches)"]
    if bound != "launches":
        found += [] if half else ["train.precision=bf16 (rounds to 8 bits)"]
    if bound == "memory":
        found += [] if train.fuse else ["train.fuse=true (fewer bytes: equal up to rounding)"]
        found += (
            []
            if train.compile
            else ["train.compile=true (fuses what is left; minutes before the first step; blocks takes less)"]
        )
    if bound == "arithmetic" and not half and train.tf32 is not True:
        found += ["train.tf32=true (matrix products too: rounds to 10 bits)"]
    return found
