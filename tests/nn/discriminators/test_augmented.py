"""Augmentations around discriminators: seeds, resumed runs, what they see, and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.core.kinds import DISCRIMINATOR, DISCRIMINATOR_AUGMENTATION
from i2i.engine import checkpoint
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.methods.assembly import build, dry_run
from i2i.nn.discriminators.augmented import Augmented
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

ADA_FAST = {"type": "ada", "groups": ["blit", "color"], "p": 0.5, "kimg": 0.1}
PATCH = {"type": "patch", "channels": 4, "layers": 3}
SMALL: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "data.type": "shapes",
    "data.size": 32,
    "schedule.type": "constant",
    "train.steps": 6,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
    "train.checkpoint_every": 3,
}


def augmented(augmentation: object = "diffaugment", **more: Any) -> dict[str, Any]:
    discriminator = {"type": "augmented", "discriminator": PATCH, "augmentation": augmentation}
    return {**SMALL, "translator.discriminators": {"local": discriminator}, **more}


def images(seed: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(2, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}


def test_the_seed_decides_and_each_pass_draws_again() -> None:
    torch.manual_seed(0)
    augmented_ = Augmented(DISCRIMINATOR("patch", channels=4, layers=3), DISCRIMINATOR_AUGMENTATION("diffaugment"))
    image = torch.rand(2, 3, 16, 16)
    torch.manual_seed(1)

    def passes(seed: int) -> list[Tensor]:
        augmented_.reseed_(seed)
        torch.rand(3)  # whatever else is drawn does not matter
        return [augmented_(image).logits["patch"] for _ in range(2)]

    first, again, other = passes(1), passes(1), passes(2)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    plain = augmented_.eval()(image).logits["patch"]
    assert torch.equal(plain, augmented_.discriminator.eval()(image).logits["patch"])


def test_each_phase_domain_and_side_has_its_own_draws() -> None:
    """And images that are shown for translations are never augmented."""
    translator = build(Recipe.read("cyclegan", augmented()))
    seen: list[tuple[str, str, Tensor]] = []
    phase = ""
    for domain in "ab":
        wrapper: Any = translator.get_submodule(f"discriminators.{domain}.local")
        wrapper.discriminator.register_forward_pre_hook(
            lambda module, given, domain=domain: seen.append((phase, domain, given[0].detach()))
        )
    batch = Batch({domain: torch.full((1, 3, 32, 32), 0.5) for domain in "ab"}, seed=1)
    for phase in ("generator", "discriminator"):
        outputs: Any = translator.start_phase(batch, phase)
        assert outputs.fake_logits.keys() == {"a/local/patch", "b/local/patch"}
        if phase == "discriminator":
            assert outputs.real_logits.keys() == outputs.fake_logits.keys()
            assert float(outputs.real["a"].std()) == 0
    assert [entry[:2] for entry in seen] == [
        *(("generator", domain) for domain in "ab"),
        *(("discriminator", domain) for domain in "aabb"),
    ]
    real = [image for phase, _, image in seen if phase == "discriminator"][::2]
    assert not torch.equal(*real)  # the same gray image, augmented for each domain


@pytest.mark.thorough
@pytest.mark.parametrize("augmentation", ["diffaugment", ADA_FAST])
def test_a_resumed_run_equals_the_whole_run(tmp_path: Path, augmentation: object) -> None:
    recipe = Recipe.read("cyclegan", augmented(augmentation))
    whole = train(recipe, tmp_path / "whole").translator.state_dict()
    saved = checkpoint.find(tmp_path / "whole" / "checkpoints" / "step-0000003")
    train(Recipe.read("cyclegan", augmented(augmentation, **{"train.steps": 3})), tmp_path / "half")
    resumed = train(recipe, tmp_path / "half", checkpoint.find(tmp_path / "half")).translator.state_dict()
    assert saved.step == 3
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    if augmentation != "diffaugment":
        p = {name: float(value) for name, value in whole.items() if name.endswith("probability.p")}
        assert len(p) == 2
        assert all(value != 0.5 for value in p.values())


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("cut", {"translator.taps": ["blocks.0"], "translator.patches": 8, "translator.width": 8}),
        ("pix2pix", {"translator.generator.levels": 2, "data.type": "portrait_pairs"}),
        ("cyclegan", {"losses.r1": {"type": "r1"}}),
    ],
)
def test_any_method_and_penalty_takes_them(recipe: str, more: dict[str, Any]) -> None:
    settings = {**augmented(ADA_FAST), **more}
    if recipe == "pix2pix":
        del settings["translator.generator.blocks"]
        settings["translator.discriminators"]["local"]["discriminator"]["norm"] = "in"
    checked = Recipe.read(recipe, settings)
    dry_run(checked)
    stepper = Stepper(checked)
    terms = [stepper.step(images(step)) for step in range(2)]
    assert all(torch.isfinite(value) for term in terms for value in term.values())
    observed = [value for name, value in stepper.translator.state_dict().items() if name.endswith("observed")]
    assert observed
    assert all(float(value[3]) == 1 for value in observed)


def test_gradients_reach_the_generator_through_the_augmentation() -> None:
    stepper = Stepper(Recipe.read("cyclegan", augmented(**{"losses.cycle.weight": 0, "losses.identity.weight": 0})))
    before = {name: value.clone() for name, value in stepper.translator.named_parameters()}
    stepper.step(images(0))
    after = dict(stepper.translator.named_parameters())
    assert not torch.equal(
        before["generators.a.image_decoder.head.weight"], after["generators.a.image_decoder.head.weight"]
    )


def test_a_mistake_inside_is_reported_with_its_place() -> None:
    settings = augmented(**{"translator.discriminators.local.discriminator.layers": 7})
    with pytest.raises(RecipeError, match="7 layers need images of at least 96 px, got 32 px"):
        dry_run(Recipe.read("cyclegan", settings))
