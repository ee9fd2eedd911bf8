"""Training steps: phases, what each trains, and bit-exact resume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.engine import checkpoint
from i2i.engine.optimizer_state import split_optimizer
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe

Tiny = Callable[..., Recipe]
Images = Callable[..., dict[str, Tensor]]
RECIPES = ["drit", "drit_shape", "dritpp", "drit_small"]


@pytest.mark.parametrize("name", ["dritpp", "drit_shape"])
def test_full_size_recipes_pass_the_dry_run(name: str) -> None:
    dry_run(Recipe.read(name))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, {}) for name in RECIPES),
        ("drit", {"losses.gan.type": "wgan_gp", "losses.r1.type": "r1", "losses.content.weight.random": 0.5}),
        ("drit_shape", {"losses.mode_seeking": {"type": "mode_seeking", "phase": "random"}, "train.precision": "bf16"}),
        ("drit", {"train.batch_size": 1, "translator.generator.shared_blocks": 0, "translator.noise": 0.0}),
    ],
)
def test_recipes_and_variants_train_every_parameter(
    tiny: Tiny, images: Images, name: str, more: dict[str, Any]
) -> None:
    recipe = tiny(name, **{"translator.d_iter": 1, **more})
    stepper = Stepper(recipe)
    before = {key: value.clone() for key, value in stepper.translator.named_parameters()}
    for step in range(2):
        terms = stepper.step(images(recipe.train.batch_size, seed=step))
        assert all(torch.isfinite(value) for value in terms.values())
    unmoved = [key for key, value in stepper.translator.named_parameters() if torch.equal(value, before[key])]
    assert [key for key in unmoved if not key.endswith("bias")] == []
    with stepper.eval_mode() as translator, torch.no_grad():
        rows = translator.preview(images())
    assert set(rows) == {"input", "reconstruction", "style 1", "style 2", "style 3", "reference"}
    assert all(row.shape == (2, 3, 32, 32) for column in rows.values() for row in column.values())


def test_the_content_discriminator_trains_in_every_step_and_the_rest_in_every_third(tiny: Tiny, images: Images) -> None:
    stepper = Stepper(tiny("drit"))
    everything = ["content", "discriminator", "generator", "random"]
    phases_of_steps = []
    for step in range(6):
        start = {name: value.clone() for name, value in stepper.translator.named_parameters()}
        terms = stepper.step(images(seed=step))
        phases = list(dict.fromkeys(term.split("/")[0] for term in terms))
        moved = {name for name, value in stepper.translator.named_parameters() if not torch.equal(value, start[name])}
        if phases == ["content"]:
            assert {name.split(".")[0] for name in moved} == {"content_discriminator"}
        phases_of_steps.append(phases)
    assert phases_of_steps == [["content"], ["content"], everything] * 2


def test_terms_of_each_phase(tiny: Tiny, images: Images) -> None:
    terms = Stepper(tiny("dritpp", **{"translator.d_iter": 1})).step(images())
    assert list(terms) == [
        "content/content",
        "discriminator/gan",
        *(f"generator/{name}" for name in ("content", "gan", "cycle", "image", "content_kl", "attribute_kl")),
        *(f"random/{name}" for name in ("gan", "attribute", "mode_seeking")),
    ]


def recorded_gradients(stepper: Stepper, phase: str) -> list[dict[str, Tensor]]:
    """Record the gradients at each step of a phase's optimizer, by parameter."""
    recorded: list[dict[str, Tensor]] = []
    optimizer = stepper.optimizers[phase]
    original_step = optimizer.step

    def step(*args: object, **more: object) -> object:
        named = stepper.translator.named_parameters()
        recorded.append({name: p.grad.clone() for name, p in named if p.grad is not None})
        return original_step(*args, **more)

    optimizer.step = step  # type: ignore[method-assign]
    return recorded


def parts(names: Any) -> set[str]:
    return {".".join(name.split(".")[: 2 if name.startswith("generator") else 1]) for name in names}


def test_the_generator_is_trained_twice_with_one_optimizer(tiny: Tiny, images: Images) -> None:
    stepper = Stepper(tiny("drit", **{"translator.d_iter": 1}))
    assert set(stepper.optimizers) == {"content", "discriminator", "generator"}
    seen = {phase: recorded_gradients(stepper, phase) for phase in stepper.optimizers}
    stepper.step(images())
    assert [parts(gradients) for gradients in seen["content"]] == [{"content_discriminator"}]
    assert [parts(gradients) for gradients in seen["discriminator"]] == [{"discriminators"}]
    shared = {"generator.content_encoder", "generator.decoders"}
    assert [parts(gradients) for gradients in seen["generator"]] == [shared | {"generator.attribute_encoders"}, shared]
    steps = {
        part: {float(stepper.optimizers["generator"].state[p]["step"]) for p in module.parameters()}
        for part, module in stepper.translator.generator.named_children()
    }
    assert steps == {"content_encoder": {2.0}, "attribute_encoders": {1.0}, "decoders": {2.0}}


def test_the_second_pass_uses_the_weights_of_the_first(tiny: Tiny, images: Images) -> None:
    """The reference differentiates the old images with the new weights, which torch refuses since 1.5."""
    translator = build(tiny("drit"))
    batch = Batch(images(), seed=3)
    outputs: Any = translator.start_phase(batch, "generator")
    before = outputs.random_fake
    translator(batch, "generator")
    with torch.no_grad():
        for parameter in translator.get_submodule("generator.decoders").parameters():
            parameter.mul_(1.5)
    again: Any = translator.start_phase(batch, "random")
    assert again is not outputs
    assert torch.equal(again.random_attribute["a_random"], outputs.random_attribute["a_random"])
    assert not torch.equal(again.random_fake["a_random"], before["a_random"])


def test_gradients_of_the_content_discriminator_are_clipped(tiny: Tiny, images: Images) -> None:
    recipe = tiny("drit")
    assert recipe.train.clip_grad_norm == {"content": 5}
    stepper = Stepper(tiny("drit", **{"losses.content.weight.content": 1e5}))
    seen = recorded_gradients(stepper, "content")
    stepper.step(images())
    norm = torch.stack([gradient.norm() for gradient in seen[0].values()]).norm()
    assert float(norm) == pytest.approx(5, rel=1e-3)


def test_no_image_is_encoded_or_decoded_more_often_than_needed(tiny: Tiny, images: Images) -> None:
    stepper = Stepper(tiny("drit", **{"translator.d_iter": 1}))
    calls: Counter[str] = Counter()
    for part in ("content_encoder", "decoders.a", "attribute_encoders.a"):
        module = stepper.translator.get_submodule(f"generator.{part}")
        module.register_forward_hook(lambda *_, part=part: calls.update([part]))
    stepper.step(images())
    # Contents: two of images and two of fakes, and two again in the last phase. Decoder of a: the fake, the random one
    # for the discriminators, reconstruction and cycle, and the random one again. Attributes: image, fake, random fake.
    assert calls == {"content_encoder": 6, "decoders.a": 5, "attribute_encoders.a": 3}


def test_accumulated_steps_are_reproducible(tiny: Tiny, images: Images) -> None:
    halves = [{domain: image[part] for domain, image in images(4).items()} for part in (slice(2), slice(2, 4))]
    ends = []
    for _ in range(2):
        stepper = Stepper(tiny("dritpp", **{"translator.d_iter": 1}))
        torch.manual_seed(len(ends))  # must have no influence
        ends.append((stepper.step(*halves), stepper.translator.state_dict()))
    (first, start), (second, end) = ends
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(start[key], end[key]) for key in start)


def full_state(run: Run) -> dict[str, Tensor]:
    state = dict(run.translator.state_dict())
    for phase, optimizer in run.stepper.optimizers.items():
        state |= {f"{phase}/{name}": value for name, value in split_optimizer(optimizer)[0].items()}
    return state


def test_resume_is_exact(tiny: Tiny, tmp_path: Path) -> None:
    """Resume from a step that trained the content discriminator only."""
    recipe = tiny("dritpp", **{"train.checkpoint_every": 4})
    whole = train(recipe, tmp_path / "whole")
    saved = checkpoint.listed(tmp_path / "whole")[4]
    resumed = train(recipe, tmp_path / "resumed", checkpoint.find(saved))
    assert resumed.start == 4
    assert resumed.step == whole.step == 6
    expected, got = full_state(whole), full_state(resumed)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name
