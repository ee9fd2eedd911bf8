"""The translator `cartoon`: phases, what each trains, outputs, and exact resume."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_cartoongan.losses import grayscale
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.engine import checkpoint
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

FEATURES = {"type": "timm", "model": "dla46x_c", "weights": "untrained"}
STYLE = {"losses.style.taps": ["level1.0"], "losses.style.features": FEATURES}


def recipe(name: str, tiny: dict[str, Any], **more: Any) -> Recipe:
    return Recipe.read(name, {**tiny, **(STYLE if name == "animegan2" else {}), **more})


def images(seed: int = 0, count: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {stream: torch.rand(count, 3, 32, 32) * 2 - 1 for stream in ("a", "b", "smooth")}


def state(stepper: Stepper) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in stepper.translator.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("name", ["cartoongan", "animegan2", "cartoongan_small"])
def test_recipes_take_two_steps_of_each_kind(name: str, tiny: dict[str, Any]) -> None:
    shape = {"channels": 4, "blocks": 1}
    smaller = {"translator.generator": {"type": "animegan2", **shape}} if name == "animegan2" else {}
    small = recipe(name, tiny, **smaller)
    dry_run(small)
    stepper, before = Stepper(small), {}
    for step in range(4):
        before = state(stepper)
        terms = stepper.step(images(step))
        assert all(math.isfinite(value) for value in terms.values())
        assert moved(before, state(stepper)) == ({"generator"} if step < 2 else {"generator", "discriminators"})
    more = {"generator/style", "generator/color"} if name == "animegan2" else set()
    assert terms.keys() == {"discriminator/gan", "generator/gan", "generator/content"} | more


def test_the_initialization_calls_no_discriminator_and_no_adversarial_loss(tiny: dict[str, Any]) -> None:
    stepper = Stepper(recipe("cartoongan", tiny))
    calls: list[str] = []
    for name, module in stepper.translator.named_modules():
        if name.startswith("discriminators.b.") or name == "losses.gan":
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    for step in range(2):
        assert stepper.step(images(step)).keys() == {"initialization/content"}
    assert calls == []
    assert not any(optimizer.state for phase, optimizer in stepper.optimizers.items() if phase != "initialization")
    first = stepper.optimizers["initialization"].state
    steps = [int(moments["step"]) for moments in first.values()]
    stepper.step(images(2))
    assert calls
    assert [int(moments["step"]) for moments in first.values()] == steps  # the first optimizer is not used any more
    assert stepper.optimizers["generator"].state


def test_the_content_loss_is_the_same_in_both_phases(tiny: dict[str, Any]) -> None:
    stepper = Stepper(recipe("cartoongan", tiny))
    batch = Batch(images())
    first, second = (
        stepper.translator.loss_values(batch, phase)["content"] for phase in ("initialization", "generator")
    )
    torch.testing.assert_close(first["b"], second["b"])


@pytest.mark.parametrize("name", ["cartoongan", "cartoongan_small"])
def test_the_recipes_compare_features_before_an_activation(name: str) -> None:
    plan = Recipe.read(name).losses["content"]
    assert plan.factory.options["distance"] == "l1"
    assert [call.phase for call in plan.calls] == ["initialization", "generator"]
    untrained = FEATURE_EXTRACTOR("timm", weights="untrained")
    (features,) = untrained(plan.factory.options["taps"])(images()["a"])  # for any weights
    assert 0.2 < (features < 0).double().mean() < 0.8


def test_without_initialization_training_is_adversarial_from_the_start(tiny: dict[str, Any]) -> None:
    terms = Stepper(recipe("cartoongan", tiny, **{"translator.initialization": 0})).step(images())
    assert terms.keys() == {"discriminator/gan", "generator/gan", "generator/content"}


def test_the_discriminator_is_called_once_on_each_set(tiny: dict[str, Any]) -> None:
    translator = build(recipe("cartoongan", tiny))
    streams = images()
    outputs = translator.start_phase(Batch(streams), "discriminator")
    inputs: list[Tensor] = []
    translator.discriminators["b"]["edges"].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))  # type: ignore[index, operator]
    assert outputs.grey_smooth_logits.keys() == outputs.smooth_logits.keys() == {"b/edges/patch"}
    expected = [
        streams["b"],
        outputs.fake["b"],
        grayscale(streams["b"]),
        grayscale(streams["smooth"]),
        streams["smooth"],
    ]
    assert len(inputs) == 5  # real and fake first, in whichever order outputs are asked for
    assert all(torch.equal(image, other) for image, other in zip(inputs, expected, strict=True))
    assert torch.equal(outputs.source["b"], streams["a"])


def test_data_without_smoothed_edges_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(
        RecipeError, match=r"translator 'cartoon' needs the stream 'smooth' \(image\), and dataset 'portraits' has"
    ):
        recipe("cartoongan", tiny, data={"type": "portraits", "size": 32})


def test_only_b_can_be_generated(tiny: dict[str, Any]) -> None:
    translator = build(recipe("cartoongan", tiny))
    assert translator.targets == ("b",)
    with pytest.raises(I2IError, match="domain b"):
        translator.translate(images()["a"], "a")
    rows = translator.preview({domain: images()[domain] for domain in "ab"})
    assert {caption: set(row) for caption, row in rows.items()} == {"input": {"a", "b"}, "translation": {"a"}}


def full_state(run: Any) -> dict[str, Tensor]:
    state = dict(run.translator.state_dict())
    for phase, optimizer in run.stepper.optimizers.items():
        state |= {f"{phase}/{name}": value for name, value in split_optimizer(optimizer)[0].items()}
    return state


def test_resume_is_exact_before_at_and_after_the_end_of_the_initialization(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    settings = recipe("cartoongan", tiny, **{"train.checkpoint_every": 1, "train.keep_last": 9})
    whole = train(settings, tmp_path / "whole")
    expected = full_state(whole)
    assert any(name.startswith("initialization/") for name in expected)
    for stop in (1, 2, 3):
        saved = checkpoint.find(checkpoint.listed(tmp_path / "whole")[stop])
        resumed = train(settings, tmp_path / f"resumed at {stop}", saved)
        assert (resumed.start, resumed.step) == (stop, whole.step)
        state = full_state(resumed)
        assert expected.keys() == state.keys()
        for name, value in expected.items():
            assert torch.equal(value, state[name]), (stop, name)
