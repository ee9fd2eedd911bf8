"""What training a recipe will need, found by taking steps of it that compute nothing."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.utils._pytree import tree_leaves

from i2i.engine.counting import Call, Counter, Work
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.errors import I2IError
from i2i.methods.assembly import INCONCLUSIVE, fake_tensors, parameters_of
from i2i.recipe.recipe import Recipe

MICRO = 3
"""Micro-batches that are tried; each further one adds as much as the last of them."""


@dataclass(frozen=True)
class Plan:
    """What one process needs for a recipe; bytes, if not said otherwise.

    Args:
        parameters: how many each trained part has.
        weights: of all networks, their buffers and averages.
        optimizer: what the optimizers remember.
        gradients: those that live at the peak.
        activations: everything else that lives at the peak, above all features kept for the backward pass.
        peak: the most that lives at one time in a step, the sum of the four.
        resident: the peak of what a process on a CPU holds, with holes in its heap.
        flops: of matrix products and convolutions in a step, a multiplication and an addition as two.
        moved: read and written by all other operations of a step.
        asked: what a process on a CPU asks of the system in a step, having given it back in the one before.
        work: both, by call.
        left: bytes that live after each step that was taken.
    """

    parameters: dict[str, int]
    weights: int
    optimizer: int
    gradients: int
    activations: int
    peak: int
    resident: int
    flops: int
    moved: int
    asked: int
    work: dict[Call, Work]
    left: tuple[int, ...]


def predict(recipe: Recipe) -> Plan:
    """Takes two steps on tensors without memory, from each step on at which other networks work.

    Networks are taken as they are without compilation, and fp16 as bf16, which is as large.

    Raises:
        RecipeError: components that refuse their options.
        I2IError: a component looks at values, of which there are none.
    """
    train = recipe.train
    if train.accumulate > MICRO:
        fewer = [dataclasses.replace(train, accumulate=count) for count in (MICRO - 1, MICRO)]
        one, other = (predict(dataclasses.replace(recipe, train=options)) for options in fewer)
        grow = ("activations", "peak", "resident", "flops", "moved", "asked")
        values = {name: (getattr(one, name), getattr(other, name)) for name in grow}
        rest = train.accumulate - MICRO
        return dataclasses.replace(other, **{name: b + rest * max(0, b - a) for name, (a, b) in values.items()})
    precision = "bf16" if train.precision == "fp16" else train.precision
    quiet = dataclasses.replace(recipe, train=dataclasses.replace(train, precision=precision, compile=False))
    counter = Counter()
    try:
        with _on_cpu(), fake_tensors(), counter:
            stepper = Stepper(quiet, make_accelerator(precision, cpu=True, device_placement=False))
            gc.collect()
            weights = counter.label_rest("weights")
            return _planned(stepper, counter, weights)
    except INCONCLUSIVE as error:
        name = type(error).__name__
        raise I2IError(
            f"{recipe.name}: cannot be foreseen, for a component looks at values of tensors ({name}). Train it for "
            f"a few steps instead, with --set train.steps=3"
        ) from error


def images(stepper: Stepper) -> list[dict[str, Tensor]]:
    """A step's micro-batches in the right shapes."""
    recipe, translator = stepper.recipe, stepper.translator

    def batch() -> dict[str, Tensor]:
        ones = {stream: translator.example_input(stream, recipe.image_size) for stream in translator.streams}
        return {stream: torch.cat([one] * recipe.train.batch_size) for stream, one in ones.items()}

    return [batch() for _ in range(recipe.train.accumulate)]


def _planned(stepper: Stepper, counter: Counter, weights: int) -> Plan:
    def seen(optimizer: Any, *_: object) -> None:
        groups = (group["params"] for group in optimizer.param_groups)
        counter.label([p.grad for group in groups for p in group if p.grad is not None], "gradients")

    inner = {phase: getattr(one, "optimizer", one) for phase, one in stepper.optimizers.items()}
    for optimizer in inner.values():
        optimizer.register_step_pre_hook(seen)
    counter.begin()
    left: list[int] = []
    for start in stepper.translator.structure_changes:
        stepper.step_number = start
        for _ in range(2):
            counter.begin_work()
            stepper.step(*images(stepper))
            left.append(counter.now)
    states = [leaf for one in inner.values() for leaf in tree_leaves(dict(one.state)) if isinstance(leaf, Tensor)]
    optimizer = counter.label(states, "optimizer")
    parts = counter.at_peak()
    return Plan(
        parameters=parameters_of(stepper.translator),
        weights=weights,
        optimizer=optimizer,
        gradients=parts["gradients"],
        activations=counter.peak - parts["weights"] - parts["optimizer"] - parts["gradients"],
        peak=counter.peak,
        resident=counter.heap.peak,
        flops=counter.flops,
        moved=counter.moved,
        asked=counter.heap.asked,
        work=dict(counter.work),
        left=tuple(left),
    )


@contextmanager
def _on_cpu() -> Iterator[None]:
    """Plans are the same on every device, and simplest made on a CPU; Accelerate knows one device at a time."""
    elsewhere = torch.accelerator.is_available()
    if elsewhere:
        AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield
    finally:
        if elsewhere:
            AcceleratorState._reset_state(reset_partial_state=True)
