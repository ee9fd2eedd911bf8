"""Captured steps: the same numbers as steps that run as they are, or a reason why not.

A tape stands for CUDA graphs; see `tests/golden/tape.py`.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from tape import Tape

from i2i.core.randomness import seed_of
from i2i.engine.graphs import WARM_UP, StepGraphs
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "data.type": "shapes",
    "data.size": 32,
    "train.steps": 12,
    "train.batch_size": 1,
    "train.precision": "fp64",
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "schedule": {"type": "linear_decay", "start": 0.2},
}
LOCAL = {"translator.discriminators.local.channels": 4}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ugatit": ("ugatit_small", {**LOCAL, "train.ema": "none"}),
    "cyclegan": ("cyclegan_small", {**LOCAL, "translator.pool": 0, "losses.identity.every": 2}),
    "cut": ("cut_small", {**LOCAL, "translator.taps": ["image", "blocks.0"], "translator.patches": 8}),
    "munit": ("munit_small", {"translator.discriminators.multiscale.channels": 4}),
}


def trained(
    name: str, settings: dict[str, Any], graph: bool, steps: int
) -> tuple[list[dict[str, float]], Any, Stepper]:
    stepper = Stepper(Recipe.read(name, {**SMALL, **settings}))
    if graph:
        stepper.graphs = StepGraphs(
            stepper.translator, stepper.optimizers, stepper.accelerator, stepper.recipe.train, Tape(stepper)
        )
    terms = []
    for step in range(steps):
        draws = torch.Generator().manual_seed(seed_of("images", step))
        images = {domain: torch.rand(1, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}
        terms.append({key: float(value) for key, value in stepper.step(images).items()})
    return terms, {key: value.clone() for key, value in stepper.translator.state_dict().items()}, stepper


@pytest.mark.parametrize(
    "case", [pytest.param("cut"), *(pytest.param(c, marks=pytest.mark.thorough) for c in CASES if c != "cut")]
)
def test_replayed_steps_are_the_steps(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Draws, images, learning rates and losses that rest all change between the replays."""
    name, settings = CASES[case]
    kinds = 2 if case == "cyclegan" else 1
    steps = kinds * (WARM_UP + 1) + 3
    expected, weights, _ = trained(name, settings, False, steps)
    got, ends, stepper = trained(name, settings, True, steps)
    assert stepper.graphs is not None
    assert stepper.graphs.reason == ""
    tape = stepper.graphs.recorder
    assert isinstance(tape, Tape)
    assert tape.calls == 3
    assert got == [pytest.approx(one, rel=1e-12) for one in expected]
    for key, value in weights.items():
        torch.testing.assert_close(ends[key], value, rtol=1e-9, atol=1e-12)


def test_a_step_that_decides_on_the_host_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    settings = {**LOCAL, "translator.pool": 2}
    with caplog.at_level(logging.WARNING, "i2i"):
        got, _, stepper = trained("cyclegan_small", settings, True, WARM_UP + 2)
    expected, _, _ = trained("cyclegan_small", settings, False, WARM_UP + 2)
    assert got == expected
    assert [record.message for record in caplog.records if "train.graph" in record.message] == [
        "train.graph: steps are not captured, and run as they are: the method, an image pool or a loss draws random "
        "numbers that decide what is computed"
    ]
    assert stepper.graphs is not None
    assert stepper.graphs.recorder is None


def test_a_cpu_has_no_graphs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "i2i"):
        stepper = Stepper(Recipe.read("cut_small", {**SMALL, **CASES["cut"][1], "train.graph": True}))
    assert "graphs need a CUDA device, got cpu" in caplog.text
    assert stepper.graphs is not None
