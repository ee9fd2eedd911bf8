"""Who trains the reused encoder, who translates with it, and the recipes around it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from i2i.core.contracts import Batch
from i2i.core.kinds import DECODER, DISCRIMINATOR
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.methods.networks import image_constraints
from i2i.methods.reused_encoder import ReusedEncoder
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

TINY = {
    "translator.discriminator.channels": 2,
    "translator.discriminator.layers": 5,
    "translator.discriminator.deeper": 1,
    "translator.generator.channels": 2,
    "translator.generator.blocks": 1,
    "data.size": 32,
    "train.batch_size": 2,
}


def smallest(**more: Any) -> Recipe:
    return Recipe.read("nicegan", {**TINY, **more})


def images() -> dict[str, torch.Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return {domain: torch.rand(2, 3, 32, 32, generator=drawn) * 2 - 1 for domain in "ab"}


def translator() -> ReusedEncoder:
    built = build(smallest(**{"translator.generator.light": True}))
    assert isinstance(built, ReusedEncoder)
    return built


@pytest.mark.parametrize("recipe", ["nicegan", "nicegan_small"])
def test_recipes_check_and_take_two_steps(recipe: str) -> None:
    settings = {name: value for name, value in TINY.items() if name != "data.size" or recipe == "nicegan"}
    stepper = Stepper(Recipe.read(recipe, settings))
    before = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
    for _ in range(2):
        terms = stepper.step(images())
        assert terms.keys() == {
            "discriminator/gan",
            "generator/gan",
            "generator/cycle",
            "generator/reconstruction",
        }
        assert all(torch.isfinite(value) for value in terms.values())
    after = stepper.translator.state_dict()
    # A weight of one row has one left vector, which is 1 from the start.
    assert all(not torch.equal(before[name], after[name]) for name in before if before[name].shape != (1,))


def test_the_encoder_trains_in_the_discriminator_phase_alone() -> None:
    stepper = Stepper(smallest())
    model = stepper.translator
    batch = Batch(images())
    for phase in ("discriminator", "generator"):
        terms = model(batch, phase)
        sum(terms.values()).backward()
        trained = {name.partition(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert trained == {f"{phase}s"}
        model.zero_grad(set_to_none=True)


def test_generator_losses_pass_through_the_frozen_encoder() -> None:
    """Without the way through the encoder of b, the cycle would leave the generator of b without a gradient."""
    model = translator()
    made: Any = model.Outputs(model, Batch(images()))
    for name in ("discriminators", "generators"):
        model.get_submodule(name).requires_grad_(name == "generators")
    made.start_phase("generator")
    made.cycle["a"].sum().backward()
    assert all(parameter.grad is not None for parameter in model.generators["b"].parameters())
    assert all(parameter.grad is None for parameter in model.discriminators.parameters())


def test_every_phase_calls_each_discriminator_twice_on_the_real_image_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = translator()
    given = images()
    calls: list[tuple[str, bool]] = []
    discriminate = model.discriminate

    def spy(image: torch.Tensor, domain: str) -> Any:
        calls.append((domain, torch.equal(image, given[domain])))
        return discriminate(image, domain)

    monkeypatch.setattr(model, "discriminate", spy)
    batch = Batch(given)
    for phase in model.phases:
        model(batch, phase)
        for domain in "ab":
            assert [real for name, real in calls if name == domain] == [True, False]
        calls.clear()


def test_translates_with_the_source_domains_encoder() -> None:
    model = translator().eval()
    image = images()["a"]
    made = model.translate(image, "b")
    encoder: Any = model.discriminators["a"]
    code, cam, heatmap = encoder.encode(image)
    assert torch.equal(made.image, model.generate(code, "b"))
    assert made.cam is not None
    assert made.heatmap is not None
    assert cam is not None
    assert heatmap is not None
    assert torch.equal(made.cam, cam)
    assert made.heatmap.shape == (2, 1, 8, 8)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    rows = model.preview(images())
    assert list(rows) == ["input", "heat map", "reconstruction", "translation", "cycle"]
    assert torch.equal(rows["translation"]["a"], made.image)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_sizes() -> None:
    assert image_constraints(translator())[:2] == (4, None)
    assert image_constraints(build(smallest())).fixed_size == (32, 32)


def test_a_discriminator_that_does_not_encode_is_refused() -> None:
    message = "expected one whose first layers encode, such as 'encoder_patch'; 'patch' does not"
    with pytest.raises(RecipeError, match=re.escape(message)):
        Recipe.read("nicegan", {**TINY, "translator.discriminator": {"type": "patch"}})
    with pytest.raises(RecipeError, match=r"unknown decoder 'resnet'"):
        Recipe.read("nicegan", {**TINY, "translator.generator.type": "resnet"})


def test_too_many_layers_are_refused_with_legal_ones() -> None:
    message = "7 layers need images of at least 96 px, got 64 px; layers = 6 works at 64 px"
    with pytest.raises(RecipeError, match=re.escape(message)):
        Recipe.read("nicegan", {"data.size": 64})


@pytest.mark.thorough
@pytest.mark.parametrize(
    "mix",
    [
        {"translator.generator.decoder_norm": "adain"},
        {"translator.generator.norm": "in", "translator.generator.upsample": "nearest"},
        {"translator.discriminator.attention": "none", "translator.generator.light": True},
        {"translator.discriminator.attention": "cam"},
        {"translator.discriminator.spectral_norm": False, "losses.gan.type": "hinge"},
        {"losses.gan.type": "wgan_gp"},
        {"losses.r1.type": "r1"},
        {"train.accumulate": 2},
    ],
    ids=str,
)
def test_legal_mixes(mix: dict[str, Any]) -> None:
    stepper = Stepper(smallest(**mix))
    for _ in range(2):
        terms = stepper.step(*[images()] * mix.get("train.accumulate", 1))
        assert all(torch.isfinite(value) for value in terms.values())


@pytest.mark.parametrize(
    "mix",
    [
        {
            "translator.generator.decoder_norm": {"type": "adalin", "mix": "softmax"},
            "translator.generator.upsample_norm": {"type": "iln", "mix": "softmax"},
        },
        {"translator.generator.upsample": "pixel_shuffle"},
        {"translator.generator.attention": "residual_cam"},
    ],
    ids=["softmax", "pixel_shuffle", "residual_cam"],
)
def test_ugatit_with_these_parts(mix: dict[str, Any], tiny: dict[str, object]) -> None:
    stepper = Stepper(Recipe.read("ugatit_small", {**tiny, **mix}))
    for _ in range(2):
        terms = stepper.step(images())
        assert all(torch.isfinite(value) for value in terms.values())


def test_registered() -> None:
    assert callable(DISCRIMINATOR("encoder_patch").component)
    assert callable(DECODER("adalin_decoder").component)
