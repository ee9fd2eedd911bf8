"""What is foreseen follows sizes and switches, and is what real steps take."""

from __future__ import annotations

import dataclasses
import gc
import sys
from functools import cache
from typing import Any

import pytest
import torch

from i2i.engine import pace, planning
from i2i.engine.counting import Counter, Work
from i2i.engine.heap import MOST
from i2i.engine.pace import estimate, measure
from i2i.engine.planning import Plan, images, predict
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.nn.losses.reconstruction import L1
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "translator.generator": {"type": "resnet", "channels": 8, "blocks": 1},
    "translator.discriminators.local.channels": 8,
    "translator.discriminators.local.layers": 3,
    "train.batch_size": 1,
}
TINY: dict[str, dict[str, Any]] = {
    "cut_small": {"data.size": 32, "translator.generator.blocks": 1, "translator.taps": ["image", "blocks.0"]},
    "pix2pix_small": {},
    "munit_small": {
        "translator.generator.blocks": 1,
        "translator.discriminators.multiscale.layers": 2,
        "translator.discriminators.multiscale.scales": 1,
    },
}


@cache
def plan(*settings: tuple[str, Any]) -> Plan:
    return predict(recipe(*settings))


def recipe(*settings: tuple[str, Any]) -> Recipe:
    return Recipe.read("pix2pix_small", SMALL | dict(settings))


def test_weights_optimizer_and_work_are_counted_exactly() -> None:
    found = plan()
    stepper = Stepper(recipe())
    values = [*stepper.translator.parameters(), *stepper.translator.buffers()]
    assert found.weights == sum(value.nbytes for value in values)
    counts = {
        name: sum(p.numel() for p in stepper.translator.get_submodule(name).parameters()) for name in found.parameters
    }
    assert found.parameters == counts
    steps = 4 * len(list(stepper.translator.parameters()))  # Adam's count of them, a number for each
    assert found.optimizer == 2 * 4 * sum(counts.values()) + steps
    assert found.peak == found.weights + found.optimizer + found.gradients + found.activations
    assert found.resident > found.peak
    with Counter() as counter:
        for _ in range(2):
            counter.begin()
            stepper.step(*images(stepper))
    assert found.flops == counter.flops


def test_more_is_foreseen_for_larger_images_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, two = plan(), plan(("data.size", 64)), plan(("train.batch_size", 2))
    assert 3 < large.activations / small.activations < 4.5
    assert large.weights == small.weights
    assert 3.5 < large.flops / small.flops < 4.5
    assert 1.7 < two.activations / small.activations < 2.3
    assert two.flops == pytest.approx(2 * small.flops, rel=0.01)
    split = plan(("train.accumulate", 2))
    assert split.activations < two.activations
    monkeypatch.setattr(planning, "MICRO", 9)
    counted = plan(("train.accumulate", 4))
    monkeypatch.setattr(planning, "MICRO", 3)
    guessed = predict(recipe(("train.accumulate", 4)))
    assert guessed.flops == counted.flops
    assert guessed.peak == pytest.approx(counted.peak, rel=1e-4)


def test_switches_lower_what_is_foreseen() -> None:
    one = ("data.size", 64), ("translator.generator.blocks", 4)
    as_it_is, checkpointing, bf16 = (
        plan(*one),
        plan(*one, ("train.gradient_checkpointing", True)),
        plan(*one, ("train.precision", "bf16")),
    )
    assert checkpointing.peak < 0.9 * as_it_is.peak
    assert checkpointing.flops > as_it_is.flops
    assert bf16.activations < 0.8 * as_it_is.activations
    assert plan(*one, ("train.precision", "fp16")).peak == bf16.peak
    assert plan(*one, ("train.compile", True)).peak == as_it_is.peak


@pytest.mark.parametrize("name", TINY)
def test_nothing_of_a_step_lives_on_until_the_garbage_collector_comes(name: str) -> None:
    """Bytes after each step are the same, also of real ones."""
    small = Recipe.read(name, TINY[name])
    gc.disable()
    try:
        first, second = predict(small).left
        assert first == second
        if name == "cut_small":
            with Counter() as counter:
                stepper = Stepper(small)
                left = [stepper.step(*images(stepper)) and counter.now for _ in range(3)]
            assert left[0] == left[1] == left[2]
    finally:
        gc.enable()


def test_a_component_that_looks_at_values_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: L1, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return prediction.mean() if float(target.mean()) > 0 else target.mean()

    monkeypatch.setattr(L1, "forward", forward)
    with pytest.raises(I2IError, match="pix2pix_small: cannot be foreseen, for a component looks at values of tensors"):
        predict(recipe())


def test_an_estimate_grows_with_the_work_and_real_steps_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert estimate(plan(), cpu, 0.1) > 0
    whole = dataclasses.replace(plan(), flops=2 * plan().flops, moved=2 * plan().moved, asked=0)
    tried: list[Work] = []
    monkeypatch.setattr(pace, "_seconds", lambda call, *_: tried.append(plan().work[call]) or 1e-3)
    once = estimate(plan(), cpu)
    assert once >= 1e-3 * sum(work.calls for work in tried)
    assert 0.98 * plan().flops <= sum(work.flops for work in tried) <= plan().flops
    assert len(tried) < len(plan().work)
    monkeypatch.setattr(pace, "_seconds", lambda *_: 1e-3)
    # Of a plan with twice the work, all calls are tried, and what none of them has done goes at their rates.
    assert estimate(whole, cpu) == pytest.approx(2e-3 * sum(work.calls for work in plan().work.values()))
    monkeypatch.setattr(pace, "_clearing", lambda: 0.5)
    asking = dataclasses.replace(whole, asked=3)
    assert estimate(asking, cpu) == pytest.approx(estimate(whole, cpu) + 1.5)
    found = measure(recipe())
    assert found.seconds > 0
    assert found.peak is None or found.peak >= 0


def test_a_call_is_made_again_with_other_numbers() -> None:
    cpu = torch.device("cpu")
    with Counter() as counter:
        table = torch.ones(5, 3)
        torch.nn.functional.embedding(torch.zeros(2, dtype=torch.long), table)
        torch.cat([table, table.t().contiguous().t()])
    found = {str(call.operation): pace._seconds(call, cpu, 0.0) for call in counter.work}
    assert found["aten.embedding.default"] is not None
    assert found["aten.cat.default"] is not None


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not say what it clears")
def test_the_clearing_of_memory_is_told_apart() -> None:
    before = pace._cleared()
    block = torch.zeros(4 * MOST, dtype=torch.uint8)
    cleared = pace._cleared() - before
    assert 0.9 * block.nbytes < cleared < 2 * block.nbytes
    assert 0 < pace._clearing() < 1e-7
    work, cpu = (lambda: torch.zeros(4 * MOST, dtype=torch.uint8)), torch.device("cpu")
    assert pace._each(work, cpu, clearing=1.0) == 0.0 < pace._each(work, cpu, clearing=0.0)


def test_what_would_fill_the_memory_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LARGEST", -1)
    assert estimate(plan(), torch.device("cpu"), 0.1) == 0.0
