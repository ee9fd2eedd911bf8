"""The translator `twin`: outputs at each stage, what each phase trains, and refused recipes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

from i2i.core.contracts import Batch
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods import assembly
from i2i.methods.networks import image_constraints
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

Images = dict[str, Tensor]


def test_real_images_are_resized_faded_and_in_0_to_1(translator: Any, images: Images) -> None:
    half = F.avg_pool2d((images["a"] + 1) / 2, 2)
    assert torch.equal(translator.start_phase(Batch(images), "generator").real["a"], half)
    translator.at_step_(5)  # a quarter of the fade from 8 to 16 px
    expected = 0.75 * half.repeat_interleave(2, 2).repeat_interleave(2, 3) + 0.25 * (images["a"] + 1) / 2
    torch.testing.assert_close(translator.start_phase(Batch(images), "generator").real["a"], expected)


def test_losses_follow_the_formulas_of_the_paper(translator: Any, images: Images) -> None:
    """Every term of both phases at 16 px, computed from networks and images."""
    translator.at_step_(11)
    generator, discriminators = translator.generator, {d: translator.discriminators[d]["image"] for d in "ab"}
    terms = {**translator(Batch(images, seed=4), "generator")}
    x = {d: (images[d] + 1) / 2 for d in "ab"}
    code = {d: generator.encode(x[d], d) for d in "ab"}
    prime = {"b": generator.decode(code["a"], "b"), "a": generator.decode(code["b"], "a")}
    reconstruction = {d: generator.decode(code[d], d) for d in "ab"}
    latent = {"a": generator.encode(prime["b"], "b").latent, "b": generator.encode(prime["a"], "a").latent}
    logit = {d: discriminators[d](prime[d]).logits["image"] for d in "ab"}
    ones = torch.ones(2, 1)
    bce = F.binary_cross_entropy_with_logits
    expected = {
        "reconstruction": 1.0 * sum(F.l1_loss(reconstruction[d], x[d]) for d in "ab"),
        "gan": sum(bce(logit[d], ones) for d in "ab"),
        "reconstruction_gan": sum(bce(discriminators[d](reconstruction[d]).logits["image"], ones) for d in "ab"),
        "content": 0.1 * sum(F.l1_loss(latent[d], code[d].latent) for d in "ab"),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    terms = translator(Batch(images, seed=4), "discriminator")
    real = {d: discriminators[d](x[d]).logits["image"] for d in "ab"}
    expected = {
        "gan": sum(bce(real[d], ones) + bce(logit[d], 0 * ones) for d in "ab"),
        "reconstruction_gan": sum(
            bce(real[d], ones) + bce(discriminators[d](reconstruction[d]).logits["image"], 0 * ones) for d in "ab"
        ),
    }
    penalty = terms.pop("penalty")
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    assert penalty > 0


def test_real_images_and_fakes_are_separate_batches(translator: Any, images: Images) -> None:
    """The deviation of a joint batch would reveal more than those of both batches."""
    sizes: list[int] = []
    for discriminators in translator.discriminators.values():
        discriminators["image"].register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    translator(Batch(images), "discriminator")
    assert sizes == [2] * 6  # real, fake and the penalty's, of each domain


def test_images_are_independent_in_translation(tiny: dict[str, Any]) -> None:
    norm = {"translator.generator.norm": "renorm", "translator.generator.rgb_norm": "renorm"}
    translator: Any = assembly.build(Recipe.read("twingan_small", tiny | norm))
    assert image_constraints(translator).batch_dependent
    assert not image_constraints(translator.eval()).batch_dependent


def test_reconstruction_logits_exist_from_a_size_on(translator: Any, images: Images) -> None:
    for step, output in ((3, False), (4, True), (11, True)):
        translator.at_step_(step)
        assert ("reconstruction_gan" in translator(Batch(images), "generator")) is output
        assert ("reconstruction_gan" in translator(Batch(images), "discriminator")) is output


def test_phases_alternate(tiny: dict[str, Any], images: Images) -> None:
    stepper = Stepper(Recipe.read("twingan_small", tiny))
    before = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
    for step, (phase, trained) in enumerate([("discriminator", "discriminators."), ("generator", "generator.")] * 2):
        terms = stepper.step(images)
        assert {name.split("/")[0] for name in terms} == {phase}
        after = stepper.translator.state_dict()
        moved = {name for name in after if not torch.equal(after[name], before[name])}
        assert moved, step
        assert all(name.startswith(trained) for name in moved)
        before = {name: value.clone() for name, value in after.items()}


def test_discriminators_are_trained_without_the_generators_graph(tiny: dict[str, Any], images: Images) -> None:
    stepper = Stepper(Recipe.read("twingan_small", tiny))
    graphs: list[bool] = []
    decode = stepper.translator.generator.decode
    stepper.translator.generator.decode = lambda *a: graphs.append((image := decode(*a)).requires_grad) or image
    stepper.step(images)
    assert graphs == [False, False]
    stepper.step(images)
    assert graphs[2:] == [True] * 4


def test_optimizers_are_reset_at_each_stage(tiny: dict[str, Any], images: Images) -> None:
    for fresh, ages in ((True, [1, 2, 1]), (False, [1, 2, 3])):
        stepper = Stepper(Recipe.read("twingan_small", tiny | {"translator.fresh_optimizers": fresh}))
        steps = []
        for step in range(6):
            stepper.step(images)
            if step % 2:
                weight = stepper.translator.generator.base[0].conv.weight
                steps.append(int(stepper.optimizers["generator"].state[weight]["step"]))
        assert steps == ages


def test_the_renorm_schedule_restarts_with_each_stage(tiny: dict[str, Any]) -> None:
    norm = {"type": "renorm", "boundaries": [1, 3], "r_max": [1, 2, 3], "r_min": [1, 0.5, 0.3], "d_max": [0, 1, 2]}
    translator: Any = assembly.build(Recipe.read("twingan_small", tiny | {"translator.generator.norm": norm}))
    intervals = []
    for step in range(9):
        translator.at_step_(step)
        intervals.append({norm.interval for norm in (translator.generator.base[0].norm.norms[d] for d in "ab")})
    assert intervals == [{0}, {0}, {1}, {1}, {0}, {0}, {1}, {1}, {2}]


def test_a_stage_may_take_fewer_images(tiny: dict[str, Any]) -> None:
    stages = [{"size": 8, "stable": 4}, {"size": 16, "fade": 4, "stable": 4, "batch": 1}]
    translator: Any = assembly.build(Recipe.read("twingan_small", tiny | {"translator.stages": stages}))
    many = torch.zeros(3, 3, 16, 16)
    assert len(translator.network_input(many)) == 3
    translator.at_step_(4)
    assert len(translator.network_input(many)) == 1
    translator.eval()
    assert len(translator.translate(many, "b").image) == 3


def with_patches(tiny: dict[str, Any], layers: int) -> dict[str, Any]:
    """Replace the discriminator by one of i2i, which does not grow."""
    rest = {key: value for key, value in tiny.items() if not key.startswith("translator.discriminators")}
    return rest | {"translator.discriminators.image": {"type": "patch", "layers": layers, "channels": 4}}


def test_the_dry_run_covers_every_stage(tiny: dict[str, Any]) -> None:
    translator: Any = assembly.build(Recipe.read("twingan_small", tiny))
    assert translator.structure_changes == (0, 4, 8)
    assembly.dry_run(Recipe.read("twingan_small", tiny))
    stages = [{"size": 4, "stable": 4}, {"size": 8, "fade": 4, "stable": 4}, {"size": 16, "fade": 4, "stable": 4}]
    patch = with_patches(tiny, 3) | {"translator.stages": stages}  # needs 6 px, more than the first stage has
    with pytest.raises(RecipeError, match=r"losses.gan: patch discriminator: expected images .* sides of at least 6"):
        assembly.dry_run(Recipe.read("twingan_small", patch))


def test_other_discriminators_and_losses(tiny: dict[str, Any], images: Images) -> None:
    more = {"losses.gan.type": "hinge", "losses.penalty": {"type": "r1"}}
    stepper = Stepper(Recipe.read("twingan_small", with_patches(tiny, 3) | more))
    for _ in range(2):
        assert all(value.isfinite() for value in stepper.step(images).values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"translator.stages": [{"size": 8, "stable": 4}]}, "expected the last stage to have the size of the data, 16"),
        ({"translator.stages": [{"size": 8, "stabel": 4}]}, "translator.stages[0].stabel: expected no such key"),
        ({"translator.generator": {"type": "resnet"}}, "expected one with encode, decode, grow_, such as twin_unet"),
        ({"data.size": 48}, "expected the last stage to have the size of the data, 48, got 16"),
    ],
)
def test_wrong_recipes_are_refused(tiny: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.read("twingan_small", tiny | settings)
    assert message in str(caught.value)


def test_translations_are_clamped_and_have_the_size_of_the_data(translator: Any, images: Images) -> None:
    translator.eval()
    for step, blocks in ((0, True), (11, False)):
        translator.at_step_(step)
        image = translator.translate(images["a"] * 5, "b").image
        assert image.shape == (2, 3, 16, 16)
        assert image.abs().max() <= 1
        assert torch.equal(image[..., ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3), image) is blocks
        rows = translator.preview(images)
        assert list(rows) == ["input", "reconstruction", "translation"]
        assert all(rows[caption][d].shape == (2, 3, 16, 16) for caption in rows for d in "ab")
    with pytest.raises(I2IError, match=r"takes images of 16 x 16 pixels, got \[2, 3, 8, 8\]"):
        translator.translate(images["a"][..., :8, :8], "b")


def test_the_recipe_has_the_settings_of_the_paper() -> None:
    recipe = Recipe.read("twingan", {"data.a": "photos", "data.b": "photos"})
    weights = {name: {call.weight.factor for call in plan.calls} for name, plan in recipe.losses.items()}
    assert weights == {
        "reconstruction": {1.0},
        "gan": {1.0},
        "penalty": {1.0},
        "reconstruction_gan": {1.0},
        "content": {0.1},
    }
    stages = recipe.translator.options["stages"]
    assert [stage.size for stage in stages] == [4, 8, 16, 32, 64, 128, 256]
    assert [(stage.batch or 8) * stage.stable for stage in stages] == [300_000] * 7
    assert [(stage.batch or 8) * stage.fade for stage in stages] == [0] + [300_000] * 6
    assert recipe.train.steps == sum(stage.stable + stage.fade for stage in stages)
    penalty = recipe.losses["penalty"].factory.options
    assert (penalty["penalty"], penalty["noise"], penalty["spread"]) == (0.25, 0.5, "variance")
    for phase in ("discriminator", "generator"):
        options = recipe.optimizers[phase].factory.options
        assert (options["lr"], tuple(options["betas"])) == (1e-4, (0.5, 0.99))
