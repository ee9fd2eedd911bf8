"""One step: what is trained, what is reused, and that micro-batches add up."""

from __future__ import annotations

import gc
import weakref
from collections import Counter

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.errors import OptionError
from i2i.methods.outputs import Outputs
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

PHASES = {"discriminator": "discriminators", "generator": "generators"}


def stepper_of(tiny: dict[str, object], **more: object) -> Stepper:
    return Stepper(Recipe.read("ugatit_small", tiny | {"train.precision": "fp64"} | more))


def images(batch: int, seed: int = 0) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(batch, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"}


def weights(stepper: Stepper) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in stepper.translator.state_dict().items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> float:
    """Difference of two ends as a share of the way from the start."""
    difference = sum(float((one[name] - other[name]).square().sum()) for name in one) ** 0.5
    return difference / sum(float((one[name] - start[name]).square().sum()) for name in one) ** 0.5


@pytest.mark.thorough
@pytest.mark.parametrize("order", [("discriminator", "generator"), ("generator", "discriminator")])
def test_micro_batches_equal_one_batch(tiny: dict[str, object], order: tuple[str, ...]) -> None:
    # spectral norm moves with every forward, so it is the one thing that accumulation changes
    settings = {"translator.order": list(order)} | {
        f"translator.discriminators.{name}.spectral_norm": False for name in ("global_", "local")
    }
    whole, parts = stepper_of(tiny, **settings), stepper_of(tiny, **settings)
    start = weights(whole)
    for step in range(3):
        batch = images(4, step)
        halves = [{domain: image[half] for domain, image in batch.items()} for half in (slice(2), slice(2, 4))]
        one, other = whole.step(batch), parts.step(*halves)
        for name, value in one.items():
            assert float(other[name]) == pytest.approx(float(value), rel=1e-9), name
    assert distance(weights(whole), weights(parts), start) < 1e-9


def test_each_phase_moves_its_own_networks_alone(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny)
    for phase, optimizer in stepper.optimizers.items():
        inside = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        expected = {id(p) for p in stepper.translator.get_submodule(PHASES[phase]).parameters()}
        assert inside == expected


def test_images_are_made_once_a_step(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny)
    generated: Counter[str] = Counter()
    for domain, generator in stepper.translator.get_submodule("generators").named_children():
        generator.register_forward_hook(lambda _, given, __, domain=domain: generated.update({domain: len(given[0])}))
    stepper.step(images(1))
    assert generated == {
        "a": 3,
        "b": 3,
    }  # translation, identity, cycle; the discriminators' phase makes none of its own


def test_translation_and_identity_in_one_call_change_nothing(tiny: dict[str, object]) -> None:
    together, apart = stepper_of(tiny), stepper_of(tiny)
    start = weights(together)
    apart.translator.generators.register_module("dropout", torch.nn.Dropout(0.0))  # draws nothing, but might
    assert apart.translator.mixing
    assert not together.translator.mixing
    for step in range(2):
        one, other = together.step(images(2, step)), apart.step(images(2, step))
        assert {name: float(value) for name, value in one.items()} == pytest.approx(
            {name: float(value) for name, value in other.items()}, rel=1e-10
        )
    assert distance(weights(together), weights(apart), start) < 1e-9


def test_a_loss_of_weight_zero_is_never_computed(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny, **{"losses.identity.weight": 0, "losses.cam.weight": 0, "losses.cycle.weight": 0})
    calls: Counter[str] = Counter()
    stepper.translator.get_submodule("generators.b").register_forward_hook(lambda *_: calls.update("b"))
    assert set(stepper.step(images(1))) == {"discriminator/gan", "generator/gan"}
    assert calls == {"b": 1}


def test_a_loss_may_rest_between_steps(tiny: dict[str, object]) -> None:
    lazy = {"losses.r1": {"type": "r1", "every": 3, "weight": 3}}
    stepper, always = stepper_of(tiny, **lazy), stepper_of(tiny, **{"losses.r1": {"type": "r1", "weight": 3}})
    batch = images(2)
    found = [stepper.step(batch) for _ in range(4)]
    assert ["discriminator/r1" in terms for terms in found] == [True, False, False, True]
    assert found[0] == always.step(batch)
    stepper.step_number = 7  # as after a resume: the step decides, not how many there have been
    assert "discriminator/r1" not in stepper.step(batch)
    with pytest.raises(RecipeError, match=r"losses\.r1\.every: expected a number >= 1 or .none., got 0"):
        stepper_of(tiny, **{"losses.r1": {"type": "r1", "every": 0}})


def test_generators_get_no_gradient_from_the_discriminators_phase(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny)
    seen: list[bool] = []
    optimizer = stepper.optimizers["discriminator"]
    before = optimizer.step

    def step(*args: object, **more: object) -> object:
        seen.extend(p.grad is None for p in stepper.translator.get_submodule("generators").parameters())
        return before(*args, **more)

    optimizer.step = step  # type: ignore[method-assign]
    stepper.step(images(1))
    assert seen
    assert all(seen)


def test_rho_stays_between_zero_and_one(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny, **{"optimizers.generator.lr": 10.0})
    stepper.step(images(1))
    rho = {name: value for name, value in stepper.translator.state_dict().items() if name.endswith("rho")}
    assert len(rho) == 2 * (2 + 2)
    assert all(float(value.min()) >= 0 and float(value.max()) <= 1 for value in rho.values())
    assert any(float(value.min()) == 0 for value in rho.values())


def test_the_rate_follows_the_schedule(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny, **{"train.steps": 4})
    rates = []
    for step in range(4):
        stepper.step(images(1, step))
        rates.append(stepper.learning_rates()["generator"])
    assert rates == pytest.approx([2e-4, 2e-4, 1e-4, 0.0])


def test_clipping_bounds_the_gradient(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny, **{"train.clip_grad_norm": 1e-3})
    norms = []
    optimizer = stepper.optimizers["generator"]
    before = optimizer.step

    def step(*args: object, **more: object) -> object:
        gradients = [p.grad for p in stepper.phase_parameters("generator") if p.grad is not None]
        norms.append(float(torch.stack([gradient.norm() for gradient in gradients]).norm()))
        return before(*args, **more)

    optimizer.step = step  # type: ignore[method-assign]
    stepper.step(images(1))
    assert norms == [pytest.approx(1e-3, rel=1e-3)]


def test_averaged_weights_follow_the_weights(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny, **{"train.ema": 0.75})
    assert stepper.ema is not None
    name = "generators.a.encoder.stem.conv.weight"
    start = stepper.translator.state_dict()[name].clone()
    stepper.step(images(1))
    end = stepper.translator.state_dict()[name].clone()
    torch.testing.assert_close(stepper.ema.average[name], 0.75 * start + 0.25 * end)
    with stepper.eval_mode() as translator:
        torch.testing.assert_close(translator.state_dict()[name], stepper.ema.average[name])
    assert torch.equal(stepper.translator.state_dict()[name], end)


def test_bf16_steps_near_float32(tiny: dict[str, object]) -> None:
    full = Stepper(Recipe.read("ugatit_small", tiny | {"train.precision": "fp32"})).step(images(2))
    half = Stepper(Recipe.read("ugatit_small", tiny | {"train.precision": "bf16"})).step(images(2))
    for name, value in full.items():
        assert half[name].dtype == torch.float32
        assert float(half[name]) == pytest.approx(float(value), rel=0.05), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has gradient scaling")
def test_fp16_without_gradient_scaling_is_refused() -> None:
    with pytest.raises(OptionError, match="fp16 needs gradient scaling, which cpu lacks; use bf16"):
        make_accelerator("fp16")


@pytest.mark.parametrize("loss", ["bce_gan", "hinge", "wgan_gp"])
def test_other_adversarial_losses_step(tiny: dict[str, object], loss: str) -> None:
    terms = stepper_of(tiny, **{"losses.gan.type": loss}).step(images(2))
    assert {"discriminator/gan", "generator/gan"} <= set(terms)
    assert all(torch.isfinite(value) for value in terms.values())


@pytest.mark.parametrize(
    "settings",
    [
        {"losses.smooth.type": "torch.nn.SmoothL1Loss", "losses.smooth.inputs": {"input": "cycle", "target": "real"}},
        {
            "losses.ssim.type": "kornia.losses.SSIMLoss",
            "losses.ssim.window_size": 5,
            "losses.ssim.inputs": {"img1": "cycle", "img2": "real"},
        },
        {"losses.r1.type": "r1"},
        {"losses.l2.type": "l2", "losses.l2.inputs": {"prediction": "identity", "target": "real"}},
    ],
)
def test_any_further_loss_is_a_recipe_change(tiny: dict[str, object], settings: dict[str, object]) -> None:
    name = next(iter(settings)).split(".")[1]
    terms = stepper_of(tiny, **settings).step(images(2))
    assert any(key.endswith(f"/{name}") and torch.isfinite(value) for key, value in terms.items())


def test_nothing_of_a_step_outlives_it(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny)
    made: list[weakref.ref[Outputs]] = []
    enter = stepper.translator.start_phase

    def spy(batch: Batch, phase: str) -> Outputs:
        outputs = enter(batch, phase)
        made.append(weakref.ref(outputs))
        return outputs

    stepper.translator.start_phase = spy  # type: ignore[method-assign]
    gc.disable()  # what goes must go by itself
    try:
        stepper.step(images(1))
        assert len(made) == 2
        assert [reference() for reference in made] == [None, None]
    finally:
        gc.enable()


def test_an_optimizer_can_begin_anew(tiny: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = stepper_of(tiny)
    reset_optimizers = {2: ("generator",)}
    monkeypatch.setattr(stepper.translator, "reset_optimizers", lambda step: reset_optimizers.get(step, ()))
    ages = []
    for step in range(4):
        stepper.step(images(1, step))
        first = {phase: next(iter(optimizer.state.values())) for phase, optimizer in stepper.optimizers.items()}
        ages.append((int(first["discriminator"]["step"]), int(first["generator"]["step"])))
    assert ages == [(1, 1), (2, 2), (3, 1), (4, 2)]


def test_modules_follow_the_step(tiny: dict[str, object]) -> None:
    stepper = stepper_of(tiny)
    seen: list[int] = []
    stepper.translator.get_submodule("generators.a").at_step_ = seen.append  # type: ignore[assignment]
    for step in range(3):
        stepper.step(images(1, step))
    assert seen == [0, 1, 2]


def test_a_phase_that_is_alone_in_its_step_makes_images_without_a_graph(
    tiny: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper = stepper_of(tiny)
    graphs = []
    enter = stepper.translator.start_phase

    def spy(batch: Batch, phase: str) -> Outputs:
        made = enter(batch, phase)
        graphs.append((phase, bool(made.graph_modules)))
        return made

    monkeypatch.setattr(stepper.translator, "start_phase", spy)
    stepper.step(images(1))
    monkeypatch.setattr(stepper.translator, "active_phases", lambda step: ["discriminator"])
    stepper.step(images(1))
    assert graphs == [("discriminator", True), ("generator", True), ("discriminator", False)]
