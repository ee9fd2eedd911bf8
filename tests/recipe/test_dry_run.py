"""The dry run of a step: what no look at the options can find, found without computing anything."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from i2i.core import kinds
from i2i.core.contracts import DiscriminatorOutput, GeneratorOutput
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.methods.assembly import build, count_parameters, dry_run
from i2i.methods.paired import Paired
from i2i.methods.translator import Translator
from i2i.recipe.files import shipped
from i2i.recipe.recipe import Recipe, to_setting
from i2i.recipe.source import RecipeError

Write = Callable[..., Path]
RECIPES = Path(__file__).parents[2] / "recipes"
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in sorted(shipped([RECIPES]).items())}
METHODS = [name for name, text in TEXTS.items() if "\nextends = " not in text and name != "ugatit"]
SMALL = ["data.size=32", "translator.generator.blocks=1", "translator.discriminators.local.layers=3"]


def small(*settings: str, registry: Registry | None = None) -> Recipe:
    return Recipe.read(RECIPES / "cyclegan.toml", [*SMALL, *settings], registry)


def refused(recipe: Recipe) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        dry_run(recipe)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.thorough] * (name not in ("pix2pix", "quickstart", "sincut", "ugatit_small"))
        )
        for name in ("ugatit_small", *METHODS)
    ],
)
def test_the_recipe_of_every_method_passes(name: str) -> None:
    """That of U-GAT-IT is below."""
    dry_run(Recipe.read(RECIPES / f"{name}.toml"))


def test_images_that_no_memory_holds_are_refused() -> None:
    (line,) = refused(small("data.size=100000"))
    assert line.endswith("data.size: 100000 x 100000 pixels are more than the limit of 89478485 for an image")


@pytest.mark.thorough
def test_a_cam_loss_without_attention_is_found_at_its_line(write: Write) -> None:
    text = """
        extends = "ugatit_small"

        [losses.cam]
        weight = 1000

        [translator.generator]
        attention = "none"
    """
    (line,) = refused(Recipe.read(write(text)))
    assert line.startswith("mine.toml:4: losses.cam: its inputs share no domain (fake_cam: ")
    assert line.endswith("so it is never computed")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "translator.generator.norm={ type = 'gn', groups = 7 }",
            "translator.generator.norm.groups: expected a divisor of the 64 channels, got 7; the nearest below is 4",
        ),
        (
            "translator.generator.attention={ type = 'cam', pools = [] }",
            "translator.generator.attention.pools: expected 'average', 'max' or both, got []",
        ),
        (
            "translator.generator={ channels = 10, norm = 'gn' }",  # its default of 32 groups does not divide 10
            "translator.generator.norm: norm 'gn': groups: expected a divisor of the 10 channels, got 32; "
            "the nearest below is 10",
        ),
        (
            "losses.x={ type = 'torch.nn.L1Loss', inputs = { input = 'discriminate', target = 'real' } }",
            "losses.x: cannot be computed: AttributeError: 'function' object has no attribute 'size'",
        ),
        (
            "data.size=1000000000000",
            "data.size: 1000000000000 x 1000000000000 pixels are more than the limit of 89478485 for an image",
        ),
    ],
)
def test_what_components_refuse_has_its_place(setting: str, message: str) -> None:
    (line,) = refused(small(setting))
    assert line.startswith("--set ")
    assert line.endswith(f": {message}")


def test_inputs_that_never_meet_are_said() -> None:
    inputs = "losses.x={ type = 'torch.nn.L1Loss', inputs = { input = 'fake', target = 'real_logits' } }"
    (line,) = refused(small(inputs))
    assert ": losses.x: its inputs share no domain (fake: a, b; real_logits: a/local/patch, " in line


def test_networks_that_do_not_fit_are_said_once() -> None:
    (line,) = refused(small("translator.discriminators.local.in_channels=4"))
    assert "patch discriminator: expected images [B, 4, H, W]" in line


def test_building_says_the_place_too() -> None:
    for use in (build, count_parameters):
        with pytest.raises(RecipeError, match=r"generator.norm.groups: expected a divisor of the 64 channels, got 7"):
            use(small("translator.generator.norm={ type = 'gn', groups = 7 }"))


class Looks(nn.Module):
    """A loss that looks at values, which a dry run has none of."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("window", torch.ones(3))
        if how == "at once":
            self.register_buffer("sum", torch.tensor(torch.ones(3).sum().item()))

    def forward(self, prediction: Tensor) -> Tensor:
        if self.how == "item":
            assert prediction.mean().item() < 1
        elif self.how == "numpy":
            prediction.detach().numpy()
        elif self.how == "bool":
            assert prediction.mean() < 1
        elif self.how == "shape":
            return prediction[prediction > 0].mean()
        elif self.how == "bug":
            raise KeyError("a bug")
        return prediction.mean()


@pytest.fixture
def registry() -> Registry:
    registry = Plugins({}).registry
    registry.add(kinds.LOSS, "looks", Looks)
    return registry


@pytest.mark.parametrize("how", ["item", "numpy", "bool", "shape", "at once"])
def test_a_loss_that_looks_at_values_is_no_mistake(registry: Registry, how: str) -> None:
    loss = f"losses.x={{ type = 'looks', how = '{how}', inputs = {{ prediction = 'fake' }} }}"
    dry_run(small(loss, registry=registry))


def test_whatever_a_loss_raises_is_said_at_its_line(registry: Registry) -> None:
    loss = "losses.x={ type = 'looks', how = 'bug', inputs = { prediction = 'fake' } }"
    (line,) = refused(small(loss, registry=registry))
    assert line.endswith(": losses.x: cannot be computed: KeyError: 'a bug'")


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["item", "at once"])
def test_an_inconclusive_loss_hides_no_other_problem(registry: Registry, how: str) -> None:
    looks = f"losses.x={{ type = 'looks', how = '{how}', inputs = {{ prediction = 'fake' }} }}"
    wrong = "losses.y={ type = 'looks', how = 'bug', inputs = { prediction = 'fake' } }"
    apart = "losses.z={ type = 'l1', inputs = { prediction = 'fake', target = 'real_logits' } }"
    lines = refused(small(looks, wrong, apart, "optimizers.generator.betas=[0.5, 2.0]", registry=registry))
    assert len(lines) == 3
    assert lines[0].endswith(
        "optimizers.generator: optimizer 'adam': cannot be built: Invalid beta parameter at index 1: 2.0"
    )
    assert "losses.y: cannot be computed: KeyError: 'a bug'" in lines[1]
    assert "losses.z: its inputs share no domain" in lines[2]
    assert count_parameters(small(looks, registry=registry)).keys() == {"discriminators", "generators"}


def test_all_losses_that_refuse_their_options_are_reported() -> None:
    lines = refused(
        small(
            "losses.x={ type = 'kornia.losses.SSIMLoss', window_size = 4, inputs = { img1 = 'cycle', img2 = 'real' } }",
            "losses.y={ type = 'torch.nn.HuberLoss', delta = -1.0, inputs = { input = 'cycle', target = 'real' } }",
        )
    )
    assert [line.split(": ")[1] for line in lines] == ["losses.x", "losses.y"]


@pytest.mark.thorough
@pytest.mark.parametrize("criterion", ["wgan_gp", "r1"])
def test_losses_with_gradients_of_discriminators_pass(criterion: str) -> None:
    dry_run(small(f"losses.extra.type={criterion}"))


@pytest.mark.thorough
def test_a_criterion_that_asks_for_the_device_passes() -> None:
    ssim = "{ type = 'kornia.losses.SSIMLoss', window_size = 5, inputs = { img1 = 'cycle', img2 = 'real' } }"
    dry_run(small(f"losses.ssim={ssim}"))


@pytest.mark.thorough
def test_the_full_model_takes_no_memory_time_or_randomness() -> None:
    recipe = Recipe.read(RECIPES / "ugatit.toml")
    dry_run(small())  # the first one imports what torch needs
    state = torch.random.get_rng_state()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    dry_run(recipe)
    counted = count_parameters(recipe)
    assert time.process_time() - began < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, (
        "in kilobytes; its weights have 2.7 GB"
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert counted["generators"] // 1_000_000 == 557  # two, 279 M each
    light = count_parameters(Recipe.read(RECIPES / "ugatit_light.toml"))
    assert {part: round(number / 1e6, 2) for part, number in light.items()} == {
        "discriminators": 112.84,
        "generators": 21.18,
    }


class FlatGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> GeneratorOutput:
        return GeneratorOutput(self.conv(image))


class FlatDiscriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 1, 1)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput({"patch": self.conv(image)})


class Bare(Paired):
    """A translator that generates no images for users."""

    inference_modules = ()
    preview = Translator.preview


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.ema=0.9"], "train.ema: translator 'bare' has no inference_modules, so no weights would be averaged"),
        (["train.sample_every=5"], "train.sample_every: translator 'bare' has no preview; write 0"),
        (
            ["train.gradient_checkpointing=true"],
            "train.gradient_checkpointing: no network has blocks that can be recomputed, so it would change nothing; "
            "remove the option",
        ),
        (
            ["schedule.type=words"],
            "schedule: 'words': expected a number for each step, got 'x' for step 0",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(registry: Registry, settings: list[str], message: str) -> None:
    registry.add(kinds.TRANSLATOR, "bare", Bare)
    registry.add(kinds.SCHEDULE, "words", lambda: lambda step: "x")
    registry.add(kinds.GENERATOR, "flat", FlatGenerator)
    registry.add(kinds.DISCRIMINATOR, "flat", FlatDiscriminator)
    table = {"type": "bare", "generator": "flat", "discriminators": {"local": "flat"}}
    base = {"translator": table, "data.size": 32, "train.sample_every": 0}
    plain = [to_setting(key, value) for key, value in base.items()]
    dry_run(Recipe.read("pix2pix", plain, registry))
    (line,) = refused(Recipe.read("pix2pix", [*plain, *settings], registry))
    assert line.endswith(message)
