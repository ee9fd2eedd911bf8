"""Steps whose phases train on batches of their own, and power iterations once per phase."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine import checkpoint
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.methods.assembly import example_input
from i2i.nn.layers.spectral import SpectralConv2d
from i2i.recipe.recipe import Recipe


@pytest.fixture
def options(tiny_settings: Mapping[str, object]) -> dict[str, Any]:
    kept = {key: value for key, value in tiny_settings.items() if not key.startswith("translator.")}
    return kept | {
        "translator.generator.channels": 2,
        "translator.generator.blocks": 1,
        **{f"translator.discriminators.{name}.channels": 2 for name in ("local", "global_")},
        **{f"translator.discriminators.{name}.layers": 4 for name in ("local", "global_")},
        "translator.critic_steps": 2,
        "schedule.type": "constant",
        "train.batch_size": 1,
    }


def test_phases_see_the_batches_that_are_theirs(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = Stepper(Recipe.read("ugatit_tf_light", {**options, "train.accumulate": 2}))
    seen: list[tuple[str, float]] = []
    loss_values = stepper.translator.loss_values

    def watch(batch: Any, phase: str) -> Any:
        seen.append((phase, float(batch.streams["a"].mean())))
        return loss_values(batch, phase)

    monkeypatch.setattr(stepper.translator, "loss_values", watch)

    def batches(count: int) -> list[dict[str, Tensor]]:
        examples = {name: example_input(stream, 1) for name, stream in stepper.translator.streams.items()}
        return [{name: torch.full_like(one, number / 8) for name, one in examples.items()} for number in range(count)]

    assert stepper.batches_per_step == 4
    stepper.step(*batches(4))
    assert seen == [("discriminator", 0), ("discriminator", 0.125), ("generator", 0.25), ("generator", 0.375)]
    assert stepper.batches_per_step == 2  # the generators are trained in every second step
    seen.clear()
    stepper.step(*batches(2))
    assert seen == [("discriminator", 0), ("discriminator", 0.125)]


@pytest.mark.thorough
def test_a_resume_is_exact_and_counts_samples(options: dict[str, Any], tmp_path: Path) -> None:
    def recipe(steps: int) -> Recipe:
        return Recipe.read("ugatit_tf_light", {**options, "train.steps": steps})

    train(recipe(3), tmp_path / "two")
    resumed = train(recipe(5), tmp_path / "two", checkpoint.find(tmp_path / "two"))
    whole = train(recipe(5), tmp_path / "one")
    assert resumed.samples == whole.samples == 2 + 1 + 2 + 1 + 2
    for name, value in whole.translator.state_dict().items():
        assert torch.equal(value, resumed.translator.state_dict()[name]), name


def test_one_power_iteration_per_phase() -> None:
    layer = SpectralConv2d(3, 4, 3, per_phase=True)
    x = torch.randn(2, 3, 8, 8)
    layer.start_phase_()
    u = layer.u.clone()
    first, second = layer(x), layer(2 * x)
    assert torch.equal(layer.u, u)
    torch.testing.assert_close(second - layer.bias.view(-1, 1, 1), 2 * (first - layer.bias.view(-1, 1, 1)))
    layer.start_phase_()
    assert not torch.equal(layer.u, u)
    u = layer.u.clone()
    layer.eval().start_phase_()
    assert torch.equal(layer.u, u)
