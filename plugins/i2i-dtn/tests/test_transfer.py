"""The translators: phases, what each trains, that a fixed f does not change, and exact resume."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_dtn.digits import Digits
from torch import Tensor

import i2i
from i2i.core.contracts import Batch
from i2i.core.hookspecs import hookimpl
from i2i.engine import checkpoint
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.methods.assembly import build, dry_run
from i2i.recipe.source import RecipeError

RECIPES = ["dtn", "dtn_small", "dtn_ternary"]
GIVEN = {
    "translator.generator.channels": 8,
    "translator.discriminators.image.channels": 4,
    "translator.extractor": {"type": "timm", "model": "resnet10t", "weights": "untrained"},
    "translator.tap": "layer1",
    "data": {"type": "digits", "size": 32},
    "train.steps": 2,
}


def batch(count: int = 3, size: int = 32) -> dict[str, Tensor]:
    samples = [Digits(size)[number] for number in range(count)]
    return {stream: torch.stack([sample[stream] for sample in samples]) for stream in samples[0]}


def state(stepper: i2i.Stepper, part: str) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in stepper.translator.state_dict().items() if k.startswith(f"{part}.")}


def same(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in state.items())


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_take_two_steps_in_each_stage(name: str, tiny: dict[str, Any]) -> None:
    recipe = i2i.Recipe.read(name, tiny)
    dry_run(recipe)
    stepper = i2i.Stepper(recipe)
    terms = [stepper.step(batch()) for _ in range(4)]
    assert [set(step_terms) == {"features/labels"} for step_terms in terms] == [True, True, False, False]
    assert all(math.isfinite(value) for step_terms in terms for value in step_terms.values())
    side = "" if name == "dtn_ternary" else "source_"
    assert {f"{side}discriminator/gan", f"{side}generator/gan", f"{side}generator/constancy"} <= terms[2].keys()
    assert "features/labels" not in terms[2]


def test_each_stage_trains_its_networks_and_a_fixed_f_does_not_change(tiny: dict[str, Any]) -> None:
    stepper = i2i.Stepper(i2i.Recipe.read("dtn", tiny))
    initial = {part: state(stepper, part) for part in ("features", "generator", "discriminators")}
    for _ in range(2):
        stepper.step(batch())
    trained = state(stepper, "features")
    assert not any(
        torch.equal(initial["features"][name], value) for name, value in trained.items()
    )  # including statistics
    assert same(initial["generator"], state(stepper, "generator"))
    assert same(initial["discriminators"], state(stepper, "discriminators"))
    with stepper.eval_mode():  # afterwards f stays in evaluation mode
        pass
    for _ in range(2):
        stepper.step(batch())
    assert same(trained, state(stepper, "features"))
    assert any("running_mean" in name for name in trained)
    for part in ("generator", "discriminators"):
        assert not any(torch.equal(initial[part][name], value) for name, value in state(stepper, part).items()), part


def test_losses_of_the_generator_pass_through_f_without_training_it(tiny: dict[str, Any]) -> None:
    translator = build(i2i.Recipe.read("dtn", tiny))
    translator.at_step_(2)
    terms = translator(Batch(batch()), "source_generator")
    gradients = torch.autograd.grad(terms["constancy"], list(translator.generator.parameters()), allow_unused=True)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)  # through f
    translator(Batch(batch()), "source_generator")["constancy"].backward()
    assert all(parameter.grad is None for parameter in translator.features.parameters())


def test_constancy_and_reconstruction_are_mean_squares(tiny: dict[str, Any]) -> None:
    translator = build(i2i.Recipe.read("dtn", tiny)).train()
    translator.at_step_(2)
    images = batch()
    f, g = translator.features, translator.generator
    with torch.no_grad():
        fake, again = (g(f.blocks(images[domain])).image for domain in "ab")
        constancy = 15 * (f.blocks(images["a"]) - f.blocks(fake)).square().mean()
        reconstruction = 15 * (images["b"] - again).square().mean()
    assert translator(Batch(images), "source_generator")["constancy"].item() == pytest.approx(
        constancy.item(), rel=1e-4
    )
    terms = translator(Batch(images), "target_generator")
    assert terms["reconstruction"].item() == pytest.approx(reconstruction.item(), rel=1e-4)
    assert terms.keys() == {"gan", "reconstruction"}


def test_phases_run_as_often_as_their_updates(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    default = build(i2i.Recipe.read("dtn", tiny))
    assert default.active_phases(1) == ["features"]
    expected = ["source_discriminator"] + 6 * ["source_generator"] + 2 * ["target_discriminator"]
    assert default.active_phases(2) == expected + 4 * ["target_generator"]
    stepper = i2i.Stepper(i2i.Recipe.read("dtn", tiny | {"translator.feature_steps": 0}))
    counted = dict.fromkeys(stepper.optimizers, 0)

    def count(phase: str, step: Callable[[], Any]) -> None:
        counted[phase] += 1
        step()

    for phase, optimizer in stepper.optimizers.items():
        monkeypatch.setattr(optimizer, "step", partial(count, phase, optimizer.step))
    stepper.step(batch())
    assert counted == {"features": 0, **default.ratios}
    with pytest.raises(
        RecipeError, match="updates: expected updates of discriminator, generator, got some of 'critic'"
    ):
        i2i.Recipe.read("dtn_ternary", tiny | {"translator.updates": {"critic": 2}})


def test_each_update_of_the_generator_generates_again(tiny: dict[str, Any]) -> None:
    """Two updates with the same fakes would ignore the first update."""
    settings = tiny | {"translator.feature_steps": 0, "translator.updates": {"source_generator": 2}}
    stepper = i2i.Stepper(i2i.Recipe.read("dtn", settings))
    generated = []
    stepper.translator.generator.register_forward_hook(lambda _m, _i, out: generated.append(out.image.detach().clone()))
    stepper.step(batch())
    # D and the first update of G share the translations; both updates of D share the reproductions, and G has none yet.
    assert len(generated) == 2 + 1 + 4
    assert not torch.equal(generated[0], generated[1])


class StopAfter:
    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_resume_is_exact_before_at_and_after_f_is_fixed(tiny: dict[str, Any], tmp_path: Path) -> None:
    recipe = i2i.Recipe.read("dtn_small", tiny | {"train.ema": 0.9})
    whole = train(recipe, tmp_path / "whole")
    for stop in (1, 2, 3):
        folder = tmp_path / f"stopped-{stop}"
        train(recipe, folder, extras=[StopAfter(stop)])
        saved = checkpoint.find(folder)
        assert saved.step == stop
        resumed = train(i2i.Recipe.read(folder / "recipe.toml"), folder, saved)
        assert resumed.step == whole.step == 4
        assert same(whole.translator.state_dict(), resumed.translator.state_dict())
        assert same(whole.stepper.ema.average, resumed.stepper.ema.average)
        for phase, optimizer in whole.stepper.optimizers.items():
            pair = (optimizer, resumed.stepper.optimizers[phase])
            tensors, others = (split_optimizer(each)[0] for each in pair)
            assert tensors.keys() == others.keys()
            assert same(tensors, others), phase


def test_a_trained_run_translates_to_b_only(tiny: dict[str, Any], tmp_path: Path) -> None:
    train(i2i.Recipe.read("dtn_small", tiny), tmp_path / "run")
    loaded = i2i.load(tmp_path / "run", device="cpu")
    images = batch()
    assert loaded.translate(images["a"]).shape == (3, 3, 32, 32)
    rows = loaded.translator.preview({domain: images[domain] for domain in "ab"})
    assert {caption: set(row) for caption, row in rows.items()} == {
        "input": {"a", "b"}, "translation": {"a"}, "reproduction": {"b"},
    }  # fmt: skip
    torch.testing.assert_close(rows["translation"]["a"], loaded.translate(images["a"]))
    with pytest.raises(i2i.I2IError, match="translates only to b"):
        loaded.translate(images["b"], "a")


def test_any_feature_extractor_can_be_f() -> None:
    recipe = i2i.Recipe.read("dtn_given", GIVEN)
    dry_run(recipe)
    stepper = i2i.Stepper(recipe)
    before = state(stepper, "features")
    images = {domain: value for domain, value in batch().items() if domain != "labels"}
    terms = [stepper.step(images) for _ in range(2)]
    generators = {"gan", "constancy", "reconstruction", "smoothness"}
    assert terms[0].keys() == {"discriminator/gan", *(f"generator/{name}" for name in generators)}
    assert all(math.isfinite(value) for value in terms[1].values())
    assert len(before) > 10
    assert same(before, state(stepper, "features"))
    assert all(parameter.grad is None for parameter in stepper.translator.features.parameters())


MIXES: dict[str, dict[str, Any]] = {
    "hinge": {"losses.gan.type": "hinge"},
    "least squares and r1": {"losses.gan.type": "lsgan", "losses.r1.type": "r1"},
    "instance norm": {"translator.generator.norm": "in", "losses.gan.type": "bce_gan"},
    "smooth": {"losses.gan.type": "dtn_binary", "losses.smoothness.weight": 0.05},
    "bf16": {"losses.gan.type": "dtn_binary", "train.precision": "bf16"},
}


@pytest.mark.parametrize("mix", MIXES)
def test_variants_take_a_step(mix: str, tiny: dict[str, Any]) -> None:
    one_class = {"translator.discriminators.image.classes": 1, "translator.feature_steps": 0}
    recipe = i2i.Recipe.read("dtn_ternary", tiny | one_class | MIXES[mix])
    dry_run(recipe)
    assert all(math.isfinite(value) for value in i2i.Stepper(recipe).step(batch()).values())


def test_wrong_recipes_are_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(
        RecipeError, match=r"data: translator 'dtn' needs the stream 'labels' \(label\), and dataset 'shapes' has"
    ):
        i2i.Recipe.read("dtn", tiny | {"data.type": "shapes"})
    with pytest.raises(RecipeError, match="set the discriminator's classes = 3"):
        dry_run(i2i.Recipe.read("dtn_ternary", tiny | {"translator.discriminators.image.classes": 1}))
    with pytest.raises(RecipeError, match="power of 2"):
        i2i.Recipe.read("dtn", tiny | {"data.size": 48})
    plain = {key: value for key, value in tiny.items() if not key.startswith("translator.features")}
    with pytest.raises(RecipeError, match="such as label_encoder, got 'patch'"):
        dry_run(i2i.Recipe.read("dtn", plain | {"translator.features": {"type": "patch"}}))
